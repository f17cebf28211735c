/* SPDX-License-Identifier: Apache-2.0
 * The transfer of a route group (docs/concepts.md, cdc/transfer/transfer_steps.c), for spin.
 *
 * Two stores with a fence each, one key, writers, both streams, COORDINATORS that may crash or
 * stall at any step and be overtaken, a sync that sends again what it had sent, people who ask
 * for transfers and give them up.
 *
 * What is kept small, and why nothing is lost by it:
 *   writers   Any number of facades and direct writers stand behind one process. A write begins in
 *             a store whenever that is writable, whatever the writer knows, so tables of any age
 *             and any epoch are covered; `inside` says that some are in flight, not how many. A
 *             facade that crashes inside is one that goes without a commit.
 *   values    Only "the last acknowledged" and "anything older" are told apart: no step of the
 *             protocol looks at a value, so the number of writes has no bound here.
 *   resends   without a bound, too: capture of the legacy may start again at any moment.
 *   time      any wait may end by its bound, any message may take any time.
 * One partition stands for all: a marker has arrived when it has in each. Not in the model: reads,
 * a second key or group (the second key adds nothing, since the fence and the markers are common).
 *
 * Checked at every step: never two writable stores (also as LTL `one`); a store accepts a write
 * only when it holds the last acknowledged one: nothing lost, nothing older came over it. Checked
 * at the end of a transfer: the owner is writable, under the owner's epoch. LTL `ends`, `released`
 * (with -DFAULTS=n and weak fairness): what is asked for ends, what is held is released.
 *
 * -D flags take one rule away (model/run.py); each must be caught, or the rule is not needed.
 */
#ifndef COORDINATORS
#define COORDINATORS 3
#endif
#ifndef EPOCHS
#define EPOCHS 4 /* attempts in all */
#endif
#ifndef TRANSFERS
#define TRANSFERS 2
#endif
#ifndef QUEUE
#define QUEUE 3 /* messages under way in each direction */
#endif
#define LEGACY 0
#define NEW    1
/* messages: a row that is older than the last acknowledged write, that write, and the others */
#define OLD    0
#define LATEST 1
#define MARKER 20 /* + epoch: "everything before this has arrived" */
#define OPENED 40 /* + epoch: "what follows was written after this opening" */
#define NONE   255

/* the stores */
bool writable[2];
byte fence[2];        /* its epoch */
byte opened[2];       /* the epoch that opened it last; 0: never */
bool latest[2];       /* holds the last acknowledged write */
bool inside[2];       /* writers in a transaction that was accepted */
/* what capture has not read, in the order of the changelog */
bool earlier[2];      /* a change from before the last opening */
byte telling[2];      /* the marker of that opening: its epoch */
bool logged[2];       /* a change */
byte marked[2];       /* a marker of a transfer: its epoch */
bool again;           /* a restart made it read a stretch of the legacy again */
/* the sink of this store */
byte arrived[2];      /* newest transfer marker that it has committed */
byte told[2];         /* newest opening of the other side that it has heard of */
chan stream[2] = [QUEUE] of { byte }; /* from that side */
byte tail[2] = NONE;  /* its last message: the same row twice in a row does what it does once */

/* the control store */
byte owner, owner_epoch, next_epoch = 1;
bool holding;
byte target, attempt; /* of the transfer: its target and newest claim */
bool under_way, abort_asked, aborting, maybe_opened;
bool touched;         /* an attempt of the transfer has begun to hold */
byte transfers;

byte faults;          /* crashes, waits given up, false suspicions; only counted with FAULTS */
byte working;         /* coordinators with an attempt; only counted with FAULTS */
bool waits[2];        /* one of them waits to seal that store; only set with FAULTS */
#ifdef FAULTS
#define may_fail (faults < FAULTS)
#define failed faults++
#define may_claim (working == 0 || may_fail)
/* who waits for a lock gets it before those who come later, and nobody works for ever */
#define may_begin(s) (!waits[s])
#define more false
#else
#define may_fail true
#define failed skip
#define may_claim true
#define may_begin(s) true
#define more true
#endif

/* A schedule for the real thing (model/schedule.py) leaves out what a test cannot make happen. */
#ifdef DRIVEN
byte draining;
#define late false
#define give_up_waiting false
#undef more
#define more false
#else
#define late may_fail
#define give_up_waiting (abort_asked || may_fail)
#endif

#define alone assert(!(writable[LEGACY] && writable[NEW]))

/* everything else is older than a write that was just acknowledged */
inline outdate()
{
    j = 0;
    do
    :: j < 2 ->
        k = len(stream[j]);
        tail[j] = NONE;
        do
        :: k > 0 ->
            stream[j]?m;
            m = (m == LATEST -> OLD : m);
            if
            :: m == OLD && tail[j] == OLD -> skip
            :: else -> stream[j]!m; tail[j] = m
            fi;
            k--
        :: else -> break
        od;
        latest[j] = false;
        j++
    :: else -> break
    od;
    m = 0; j = 0; k = 0
}

inline send(side, what)
{
    if
    :: tail[side] == what -> skip
    :: else -> stream[side]!what; tail[side] = what
    fi
}

/* migrations: the fence's check holds the row shared until the commit */
proctype writers(byte s)
{
    byte m, j, k;
#ifdef SNAPSHOT_BEFORE_LOCK
    bool checked;
#endif
end:
    do
#ifdef SNAPSHOT_BEFORE_LOCK
    :: atomic { !checked && writable[s] -> checked = true; printf("real writer %d begin\n", s) }
    :: atomic { checked && !inside[s] -> checked = false; inside[s] = true }
#elif defined TRUST_CACHE
    :: atomic { !inside[s] -> inside[s] = true; printf("real writer %d begin\n", s) }
#else
    :: atomic { writable[s] && !inside[s] && may_begin(s) -> inside[s] = true; printf("real writer %d begin\n", s) }
#endif
    :: atomic {
        inside[s] ->
        printf("real writer %d commit\n", s);
        assert(latest[s]);
        outdate();
        latest[s] = true;
        logged[s] = true;
        if
        :: inside[s] = false
        :: more -> skip /* others are still inside */
        fi
       }
    :: atomic { inside[s] -> inside[s] = false; printf("real writer %d gone\n", s) }
    od
}

/* an atomic step that waits for room would no longer be one */
#define room nfull(stream[side])

/* cdc/capture_*.c. What is read in one go: first the openings, then the rows as they are now, then
 * the markers of transfers; so a change from before an opening may go out behind it. */
proctype capture(byte side)
{
end:
    do
    :: atomic { room && earlier[side] -> send(side, latest[side]); earlier[side] = false }
    :: atomic { room && telling[side] > 0 -> send(side, OPENED + telling[side]); telling[side] = 0 }
#ifdef OPENED_LATE
    :: atomic { room && logged[side] -> send(side, latest[side]); logged[side] = false }
#endif
    :: atomic {
        room && !earlier[side] && telling[side] == 0 && logged[side] ->
        send(side, latest[side]);
        if
        :: logged[side] = false
        :: more && side == NEW -> skip /* the WAL had an older image of the row before it */
        fi
       }
    :: atomic {
        room && !earlier[side] && telling[side] == 0 && !logged[side] && marked[side] > 0 ->
        send(side, MARKER + marked[side]);
        marked[side] = 0
       }
    /* a restart: it tells of the last opening, then reads from an older position */
    :: atomic { room && side == LEGACY && again -> send(side, latest[side]); again = false }
    :: atomic {
        room && side == LEGACY && !again && late ->
        failed;
        again = true;
        if
        :: opened[LEGACY] > 0 -> send(side, OPENED + opened[LEGACY])
        :: else -> skip
        fi;
        printf("real sync restarts\n")
       }
    od
}

/* cdc/apply/apply_fence.c, fence_refuses() */
#ifdef OWNER_TAKES_ALL
#define takes(s) true
#elif defined NO_OPENING
#define takes(s) (!writable[s])
#else
#define takes(s) (!writable[s] && (opened[s] == 0 || told[s] > opened[s]))
#endif

/* cdc/apply/apply_batch.c, cdc/apply/apply_fence.c: one transaction of the sink, its fence held shared */
proctype apply(byte from)
{
    byte m;
end:
    do
    :: atomic {
        stream[from]?m;
        tail[from] = (len(stream[from]) == 0 -> NONE : tail[from]);
        if
        :: m >= OPENED && m - OPENED > told[1 - from] -> told[1 - from] = m - OPENED
        :: m >= OPENED && m - OPENED <= told[1 - from] -> skip
        :: m >= MARKER && m < OPENED && m - MARKER > arrived[1 - from] -> arrived[1 - from] = m - MARKER
        :: m >= MARKER && m < OPENED && m - MARKER <= arrived[1 - from] -> skip
        :: m < MARKER && takes(1 - from) -> latest[1 - from] = (m == LATEST)
        :: m < MARKER && !(takes(1 - from)) -> skip
        fi;
        m = 0
       }
    od
}

/* cdc/transfer/transfer.c, cdc/transfer/transfer_steps.c: one step an iteration; between two of them it may crash,
 * or stall for as long as it likes. `attempt == e` and `< e` are the guards of the statements. */
#ifdef ABORT_AFTER_FLIP
#define stays false
#else
#define stays after
#endif
mtype = { IDLE, TAKEN, ABORTING, HOLDING, HOLD, SEAL, MARK, ARRIVE, OPENING, OPEN, FLIP, FINISH,
          GIVE_UP, LET_GO };
#define mine (attempt == e && under_way)
byte idle; /* a bit each: of those that are idle the first goes on, since they are alike */
#define below(n) ((1 << (n)) - 1)

inline rest()
{
    pc = IDLE; e = 0; to = 0; back = false; drain = false; first = false; forced = false; after = false; saw = 0; claimed = 0;
    idle = idle | (1 << me);
#ifdef FAULTS
    working--; waits[LEGACY] = false; waits[NEW] = false;
#endif
}

/* the next step is put on record, which only the newest attempt can do */
inline on(next)
{
    if
    :: mine -> pc = (next)
    :: else -> rest()
    fi
}

inline say(what)
{
    printf("real coordinator %d %e\n", me, what)
}

proctype coordinator(byte me)
{
    mtype pc = IDLE;
    byte e, to, saw, claimed; /* claimed: which transfer it claimed */
    bool back, drain, first, forced;
    bool after; /* the owner was flipped already when it began: there is nothing left to give up */
#define from (1 - to)
end:
    do
#ifdef FAULTS
    :: atomic { pc == SEAL && inside[from] && !waits[from] -> waits[from] = true }
    :: atomic { pc == OPEN && inside[to] && !waits[to] -> waits[to] = true }
#endif
    :: atomic { /* the owner is read before the claim: it may be old by then */
        pc == IDLE && under_way && may_claim && next_epoch <= EPOCHS && (idle & below(me)) == 0 ->
#ifdef FAULTS
        if
        :: working > 0 -> failed
        :: else -> skip
        fi;
        working++;
#endif
        idle = idle & ~(1 << me);
        saw = owner;
        claimed = transfers;
#ifdef REUSED_EPOCH
        if
        :: attempt > 0 && attempt >= owner_epoch -> e = attempt
        :: else -> e = next_epoch; next_epoch++
        fi;
#else
        e = next_epoch; next_epoch++;
#endif
        pc = TAKEN;
        printf("real coordinator %d take\n", me)
       }
    :: atomic { /* attempt_begin() */
#ifdef DRIVEN
        pc == TAKEN && draining == 0 -> /* whether a drain that was overtaken still ends is chance */
#else
        pc == TAKEN ->
#endif
        say(pc);
        if
#ifdef REUSED_EPOCH
        :: under_way && claimed == transfers && attempt <= e ->
#else
        :: under_way && claimed == transfers && attempt < e ->
#endif
            attempt = e;
            first = !touched;
            after = !forced && touched && saw == target;
            back = forced || ((aborting || abort_asked) && !after);
            forced = false; saw = 0; claimed = 0;
            to = (back -> 1 - target : target);
            drain = !back || maybe_opened;
            if
            :: back && first -> pc = FINISH /* before anything was done */
            :: back && !first -> pc = ABORTING
            :: else -> pc = HOLDING
            fi
        :: else -> rest()
        fi
       }
    :: atomic { pc == ABORTING -> say(pc);
        if
        :: mine -> aborting = true; pc = HOLDING
        :: else -> rest()
        fi
       }
    :: atomic { pc == HOLDING -> say(pc);
        if
        :: mine -> touched = true; pc = HOLD
        :: else -> rest()
        fi
       }
    :: atomic { pc == HOLD -> say(pc);
        if
#ifdef NO_SEAL_ON_ABORT
        :: owner_epoch < e -> holding = true;
            if
            :: back && !maybe_opened -> pc = OPENING
            :: else -> on(SEAL)
            fi
#else
        :: owner_epoch < e -> holding = true; on(SEAL)
#endif
        :: else -> rest()
        fi
       }
#ifdef NO_WAIT
    :: atomic { pc == SEAL -> say(pc);
#else
    :: atomic { pc == SEAL && !inside[from] -> say(pc); /* exclusive */
#endif
        if
        :: fence[from] < e ->
            writable[from] = false; fence[from] = e; waits[from] = false;
#ifdef NO_MARKER
            pc = OPENING
#else
            if
            :: drain -> on(MARK)
            :: else -> pc = OPENING
            fi
#endif
        :: else -> rest()
        fi
       }
    /* the seal waited too long: it certainly did not happen */
    :: atomic { pc == SEAL && first && !back && inside[from] && late -> failed; pc = GIVE_UP }
#ifdef LET_GO_ALWAYS
    :: atomic { pc == SEAL && !first && !back && late -> failed; pc = GIVE_UP }
#endif
    :: atomic { pc == SEAL && !first && !back && inside[from] && late && next_epoch <= EPOCHS -> failed;
        forced = true; e = next_epoch; next_epoch++; pc = TAKEN
       }
    :: atomic { pc == MARK -> say(pc); /* two in a row: the later one stands for both */
        marked[from] = (marked[from] < e -> e : marked[from]);
        pc = ARRIVE;
#ifdef DRIVEN
        draining++
#endif
       }
    :: atomic { pc == ARRIVE && arrived[to] == e -> say(pc); pc = OPENING;
#ifdef DRIVEN
        draining--
#endif
       }
    :: atomic { pc == ARRIVE && arrived[to] != e && attempt != e -> rest() }
    /* it takes too long, or an abort was asked for: the group is given back under a new epoch */
    :: atomic { pc == ARRIVE && arrived[to] != e && !back && !stays && give_up_waiting && next_epoch <= EPOCHS ->
        failed; forced = true; e = next_epoch; next_epoch++; pc = TAKEN
       }
    :: atomic { pc == OPENING -> say(pc); /* on record before it has an effect */
        if
        :: mine -> maybe_opened = maybe_opened || !back; pc = OPEN
        :: else -> rest()
        fi
       }
    :: atomic { pc == OPEN && !inside[to] -> say(pc);
        if
        :: fence[to] < e ->
            writable[to] = true;
            fence[to] = e; waits[to] = false;
            opened[to] = e;
            if /* opened again before the first was read: what stands behind that stays there */
            :: telling[to] > 0 -> skip
            :: else ->
                earlier[to] = earlier[to] || logged[to];
                logged[to] = false;
                telling[to] = e
            fi;
            alone;
            on(FLIP)
        :: else -> rest()
        fi
       }
    :: atomic { pc == FLIP -> say(pc);
        if
        :: owner_epoch < e -> owner = to; owner_epoch = e; holding = false; on(FINISH)
        :: else -> rest()
        fi
       }
    :: atomic { pc == GIVE_UP -> say(pc); /* nothing to give back: the epoch stays as well */
        if
        :: mine -> aborting = true; pc = LET_GO
        :: else -> rest()
        fi
       }
    :: atomic { pc == LET_GO -> say(pc);
        if
        :: mine && owner_epoch < e -> holding = false; pc = FINISH
        :: else -> rest()
        fi
       }
    :: atomic { pc == FINISH -> say(pc);
        if
        :: mine ->
            assert(writable[owner] && fence[owner] == owner_epoch && !holding);
            under_way = false; abort_asked = false; aborting = false; maybe_opened = false;
            touched = false; target = 0
        :: else -> skip
        fi;
        rest()
       }
#ifdef DRIVEN
    :: atomic { pc != IDLE && pc != ARRIVE && may_fail -> failed; rest(); printf("real coordinator %d crash\n", me) }
#else
    :: atomic { pc != IDLE && may_fail -> failed; rest(); printf("real coordinator %d crash\n", me) }
#endif
    od
}

/* a cutover, then a rollback or another cutover, ..; an abort may be asked for at any time */
proctype people()
{
end:
    do
    :: atomic {
        !under_way && transfers < TRANSFERS ->
        target = 1 - owner;
        under_way = true;
        transfers++;
        printf("real people ask %d\n", target)
       }
    :: atomic { under_way && !abort_asked && may_fail -> failed; abort_asked = true; printf("real people abort\n") }
    od
}

init
{
    byte i;
    atomic {
        writable[LEGACY] = true;
        latest[LEGACY] = true;
        latest[NEW] = true;
        idle = below(COORDINATORS);
        run writers(LEGACY);
        run writers(NEW);
        run capture(LEGACY);
        run capture(NEW);
        run apply(LEGACY);
        run apply(NEW);
        for (i : 0 .. COORDINATORS - 1) {
            run coordinator(i)
        }
        i = 0;
        run people()
    }
}

#ifdef LTL
ltl one { [] !(writable[LEGACY] && writable[NEW]) }
ltl ends { [] (under_way -> <> !under_way) }
ltl released { [] (holding -> <> !holding) }
#endif
