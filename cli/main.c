// SPDX-License-Identifier: Apache-2.0
// The one binary. Every command is a row in one of these tables (cli/cli_*.c).
#include "cli/tables.h"

#include <signal.h>

int main(int argc, char **argv)
{
    static const struct command *const tables[] = {
        cli_check_commands,        cli_migrate_commands,       cli_serve_commands,
        cli_service_commands,      cli_sync_commands,          cli_positions_commands,
        cli_route_commands,        cli_route_set_commands,     cli_route_load_commands,
        cli_route_replay_commands, cli_route_explain_commands, cli_route_simulate_commands,
        cli_evidence_commands,     cli_audit_commands,         cli_cutover_commands,
        cli_transfers_commands,    cli_reconcile_commands,     cli_diff_commands,
        cli_parked_commands,       cli_rehearse_commands,      cli_status_commands,
    };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error of its write
    return cli_main(argc, argv, tables, sizeof tables / sizeof tables[0]);
}
