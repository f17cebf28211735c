/* SPDX-License-Identifier: Apache-2.0
 * The transfer of a route group (docs/concepts.md, cdc/transfer_steps.c), for spin.
 *
 * Two stores with a fence each, one key, both streams, two facades with tables of their own, a
 * direct writer of the legacy, COORDINATORS that may crash or stall at any step and be overtaken,
 * a sync that may send again what it had sent. One transfer there, one back; either may abort.
 *
 * Checked at every step: never two writable stores; a store accepts a write only when it holds
 * the last acknowledged one (nothing was lost, nothing older came over it); an epoch opens one
 * side. Checked at the end: when all is still, some side is writable and it is the owner.
 *
 * Not in the model: time, partitions of a topic (one stands for all: a marker has arrived when it
 * has in each), reads, more than one key or group.
 *
 * -D flags take one rule away (see model/run.py); each must be caught, or the rule is not needed.
 */
#ifndef COORDINATORS
#define COORDINATORS 2
#endif
#ifndef EPOCHS
#define EPOCHS 5 /* attempts in all */
#endif
#ifndef WRITES
#define WRITES 3
#endif
#ifndef FACADES
#define FACADES 2
#endif
#ifndef TRANSFERS
#define TRANSFERS 2
#endif
#ifndef DIRECT
#define DIRECT 1 /* programs that write the legacy directly */
#endif
#ifndef RESENDS
#define RESENDS 1
#endif
#define LEGACY 0
#define NEW    1
#define MARKER 100 /* + epoch, in a stream: "everything before this has arrived" */
#define OPENED 200 /* + epoch, in a stream: "what follows was written after this opening" */

/* the stores: fence row, the key's value, writers inside a transaction */
bool writable[2];
byte fence[2], value[2], inside[2];
byte opened[2];       /* the epoch that opened it last; 0: never */
/* what capture has not read, in the order of the changelog */
bool earlier[2];      /* a change from before the last opening */
byte telling[2];      /* the marker of that opening: its epoch */
bool logged[2];       /* a change */
byte marked[2];       /* a marker of a transfer: its epoch */
bool again[2];        /* a restart made it read a stretch again: the row's present state */
/* the sink of this store */
byte arrived[2];      /* newest transfer marker that it has committed */
byte told[2];         /* newest opening of the other side that it has heard of */
chan stream[2] = [3] of { byte }; /* from that side */

/* the control store */
byte owner, owner_epoch, next_epoch = 1;
bool holding;
byte target, attempt; /* of the transfer: its target and newest claim */
bool under_way, aborting, maybe_opened;
bool touched; /* an attempt of the transfer has begun to hold */
byte transfers;

byte written, acknowledged; /* values are handed out in order */
byte resends;

#define alone assert(!(writable[LEGACY] && writable[NEW]))

/* migrations: the fence's check holds the row shared until the commit */
inline transaction(s, epoch, checks_epoch, accepted)
{
    accepted = false;
#ifdef SNAPSHOT_BEFORE_LOCK
    if
    :: writable[s] && (!checks_epoch || fence[s] == epoch) -> accepted = true
    :: else -> skip
    fi;
    if
    :: accepted -> inside[s]++
    :: else -> skip
    fi;
#else
    atomic {
        if
#ifdef TRUST_CACHE
        :: checks_epoch || writable[s] -> accepted = true; inside[s]++
#else
        :: writable[s] && (!checks_epoch || fence[s] == epoch) -> accepted = true; inside[s]++
#endif
        :: else -> skip
        fi
    }
#endif
    if
    :: accepted ->
        atomic {
            assert(value[s] == acknowledged);
            written++;
            value[s] = written;
            acknowledged = written;
            logged[s] = true;
            inside[s]--
        }
    :: else -> skip
    fi
}

/* facade/dispatch.c: a table that may be old; a refused write waits for a newer one */
proctype facade()
{
    byte my_owner = LEGACY, my_epoch = 0;
    bool my_holding = false, ok;
end:
    do
    :: atomic { my_owner = owner; my_epoch = owner_epoch; my_holding = holding }
    :: !my_holding && written < WRITES -> transaction(my_owner, my_epoch, true, ok)
    od
}

/* a program that writes the legacy directly, without an epoch */
proctype direct()
{
    bool ok;
end:
    do
    :: written < WRITES -> transaction(LEGACY, 0, false, ok)
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
    :: atomic { room && earlier[side] -> stream[side]!value[side]; earlier[side] = false }
    :: atomic { room && telling[side] > 0 -> stream[side]!OPENED + telling[side]; telling[side] = 0 }
#ifdef OPENED_LATE
    :: atomic { room && logged[side] -> stream[side]!value[side]; logged[side] = false }
#endif
    :: atomic { room && !earlier[side] && telling[side] == 0 && logged[side] -> stream[side]!value[side]; logged[side] = false }
    :: atomic {
        room && !earlier[side] && telling[side] == 0 && !logged[side] && marked[side] > 0 ->
        stream[side]!MARKER + marked[side];
        marked[side] = 0
       }
    :: atomic { room && again[side] -> stream[side]!value[side]; again[side] = false }
    /* a restart: it tells of the last opening, then reads from an older position */
    :: atomic {
        room && side == LEGACY && resends < RESENDS ->
        resends++;
        again[LEGACY] = true;
        if
        :: opened[LEGACY] > 0 -> stream[LEGACY]!OPENED + opened[LEGACY]
        :: else -> skip
        fi
       }
    od
}

/* cdc/apply_fence.c, fence_refuses() */
#ifdef OWNER_TAKES_ALL
#define takes(s) true
#else
#ifdef NO_OPENING
#define takes(s) (!writable[s])
#else
#define takes(s) (!writable[s] && (opened[s] == 0 || told[s] > opened[s]))
#endif
#endif

/* cdc/apply_batch.c, cdc/apply_fence.c: one transaction of the sink, its fence held shared */
proctype apply(byte from)
{
    byte m;
end:
    do
    :: atomic {
        stream[from]?m;
        if
        :: m >= OPENED && m - OPENED > told[1 - from] -> told[1 - from] = m - OPENED
        :: m >= OPENED && m - OPENED <= told[1 - from] -> skip
        :: m >= MARKER && m < OPENED && m - MARKER > arrived[1 - from] -> arrived[1 - from] = m - MARKER
        :: m >= MARKER && m < OPENED && m - MARKER <= arrived[1 - from] -> skip
        :: m < MARKER && takes(1 - from) -> value[1 - from] = m
        :: m < MARKER && !(takes(1 - from)) -> skip
        fi;
        m = 0
       }
    od
}

/* cdc/transfer.c, cdc/transfer_steps.c. `stale`: a statement's guard found a later attempt. A
 * crash is the jump to `start`; a stall is any other process going first. */
#define crash :: next_epoch < EPOCHS -> goto start

inline claim()
{
    atomic {
#ifdef REUSED_EPOCH
        if
        :: attempt > 0 -> e = attempt
        :: else -> e = next_epoch; next_epoch++
        fi;
#else
        e = next_epoch;
        next_epoch++;
#endif
        attempt = e
    }
}

proctype coordinator()
{
    byte e = 0, to, from;
    bool back = false, drain = true, first = false;
start:
end:
    atomic { under_way && next_epoch < EPOCHS + 1 -> back = aborting }
    claim();
    atomic {
        first = !touched;
        to = (back -> 1 - target : target);
        from = 1 - to;
        drain = !back || maybe_opened
    }
    if
    :: back -> atomic {
            if
            :: attempt == e && under_way -> aborting = true
            :: else -> goto start
            fi
        }
    :: else -> skip
    fi;
    if crash :: true -> skip fi;
    atomic { /* holding */
        if
        :: attempt == e && under_way -> touched = true
        :: else -> goto start
        fi
    }
    atomic {
        if
        :: owner_epoch < e -> holding = true
        :: else -> goto start
        fi
    }
    if
    crash
    :: first && !back -> goto let_go /* the seal waited too long: it certainly did not happen */
#ifdef LET_GO_ALWAYS
    :: !back -> goto let_go
#endif
    :: true -> skip
    fi;
#ifdef NO_SEAL_ON_ABORT
    if
    :: back && !maybe_opened -> skip
    :: else ->
#endif
#ifdef NO_WAIT
    atomic {
#else
    atomic { inside[from] == 0 -> /* sealing: exclusive */
#endif
        if
        :: fence[from] < e -> writable[from] = false; fence[from] = e
        :: else -> goto start
        fi
    }
#ifdef NO_SEAL_ON_ABORT
    fi;
#endif
    if crash :: true -> skip fi;
    if
#ifndef NO_MARKER
    :: drain ->
        atomic { /* two in a row: the later one stands for both */
            if
            :: marked[from] < e -> marked[from] = e
            :: else -> skip
            fi
        }
        if
        :: arrived[to] == e -> skip
        :: !back && next_epoch < EPOCHS -> /* it takes too long: give the group back */
            atomic {
                if
                :: attempt == e && under_way -> aborting = true
                :: else -> skip
                fi
            }
            goto start
        :: attempt != e -> goto start
        fi
    :: else -> skip
#else
    :: true -> skip
#endif
    fi;
    if crash :: true -> skip fi;
    atomic { /* "opening" is on record before it has an effect */
        if
        :: attempt == e && under_way -> maybe_opened = maybe_opened || !back
        :: else -> goto start
        fi
    }
    if crash :: true -> skip fi;
    atomic { inside[to] == 0 -> /* opening */
        if
        :: fence[to] < e ->
            writable[to] = true;
            fence[to] = e;
            opened[to] = e;
            if /* opened again before the first was read: what stands behind that stays there */
            :: telling[to] > 0 -> skip
            :: else ->
                earlier[to] = earlier[to] || logged[to];
                logged[to] = false;
                telling[to] = e
            fi;
            alone
        :: else -> goto start
        fi
    }
    if crash :: true -> skip fi;
    atomic { /* flipping */
        if
        :: owner_epoch < e -> owner = to; owner_epoch = e; holding = false
        :: else -> goto start
        fi
    }
    if crash :: true -> skip fi;
    atomic {
        if
        :: attempt == e && under_way ->
            assert(writable[owner] && fence[owner] == owner_epoch);
            under_way = false; aborting = false; maybe_opened = false; touched = false
        :: else -> skip
        fi
    }
    goto start;
let_go: /* nothing to give back: the epoch stays as well */
    atomic {
        if
        :: attempt == e && under_way -> aborting = true
        :: else -> goto start
        fi
    }
    if crash :: true -> skip fi;
    atomic {
        if
        :: attempt == e && under_way && owner_epoch < e -> holding = false
        :: else -> goto start
        fi
    }
    if crash :: true -> skip fi;
    atomic {
        if
        :: attempt == e && under_way ->
            assert(writable[owner] && fence[owner] == owner_epoch);
            under_way = false; aborting = false; maybe_opened = false; touched = false
        :: else -> skip
        fi
    }
    goto start
}

/* people: a cutover, then a rollback or another cutover; an abort may be asked for */
proctype people()
{
end: /* the attempts may be used up */
    do
    :: atomic {
        !under_way && transfers < TRANSFERS ->
        target = 1 - owner;
        under_way = true;
        transfers++
       }
    :: atomic { under_way && !aborting && transfers == 1 -> aborting = true }
    :: transfers == TRANSFERS && !under_way -> break
    od
}

init
{
    byte i;
    atomic {
        writable[LEGACY] = true;
#if FACADES > 0
        for (i : 1 .. FACADES) {
            run facade()
        }
#endif
#if DIRECT > 0
        for (i : 1 .. DIRECT) {
            run direct()
        }
#endif
        run capture(LEGACY);
        run capture(NEW);
        run apply(LEGACY);
        run apply(NEW);
        for (i : 1 .. COORDINATORS) {
            run coordinator()
        }
        run people()
    }
}
