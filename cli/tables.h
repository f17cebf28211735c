// SPDX-License-Identifier: Apache-2.0
// The command tables, one a file. Each ends with a row whose `words` is NULL.
#ifndef FICUS_CLI_TABLES_H
#define FICUS_CLI_TABLES_H

#include "cli/command.h"

extern const struct command cli_check_commands[];          // check
extern const struct command cli_migrate_commands[];        // migrate up|down|status
extern const struct command cli_serve_commands[];          // serve
extern const struct command cli_service_commands[];        // service
extern const struct command cli_sync_commands[];           // sync, sync snapshot|pause|resume
extern const struct command cli_positions_commands[];      // sync positions
extern const struct command cli_route_commands[];          // route list|show|history
extern const struct command cli_route_explain_commands[];  // route explain
extern const struct command cli_route_replay_commands[];   // route replay|noise
extern const struct command cli_route_simulate_commands[]; // route simulate
extern const struct command cli_route_set_commands[];      // route set|approve|withdraw|proposals
extern const struct command cli_route_load_commands[];     // route load
extern const struct command cli_audit_commands[];          // audit list|verify
extern const struct command cli_evidence_commands[];       // route mismatches|ignore|ignored
extern const struct command cli_cutover_commands[];        // cutover, rollback, complete
extern const struct command cli_transfers_commands[];      // transfers list|show
extern const struct command cli_reconcile_commands[];      // reconcile, reconcile history|show
extern const struct command cli_diff_commands[];           // diff
extern const struct command cli_parked_commands[];         // parked list|show|retry|drop
extern const struct command cli_rehearse_commands[];       // rehearse
extern const struct command cli_status_commands[];         // status, version

#endif
