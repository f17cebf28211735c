// SPDX-License-Identifier: Apache-2.0
// Places where tests interfere with the process, in builds with FICUS_FAILPOINTS only; elsewhere
// they compile to nothing. Thread: any.
//
// FAILPOINT("name") raises SIGKILL when the environment says FICUS_FAILPOINT=name or name:N (the
// Nth time it is passed).
//
// GATE("name") stops there when FICUS_GATES names a folder: it writes the gate's name into a file
// of that folder, called FICUS_GATE, and goes on when that is gone, or while a file `open` is there.
// So a test steps several processes through one protocol in an order of its own.
#ifndef FICUS_BASE_FAILPOINT_H
#define FICUS_BASE_FAILPOINT_H

#ifdef FICUS_FAILPOINTS
void failpoint_pass(const char *name);
void gate_pass(const char *name);
#define FAILPOINT(name) failpoint_pass(name)
#define GATE(name)      gate_pass(name)
#else
#define FAILPOINT(name) ((void)0)
#define GATE(name)      ((void)0)
#endif

#endif
