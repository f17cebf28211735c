// SPDX-License-Identifier: Apache-2.0
// Socket activation: a listening socket inherited from a supervisor.
#ifndef FICUS_FACADE_ACTIVATION_H
#define FICUS_FACADE_ACTIVATION_H

#include "base/err.h"

// `*fd` is the inherited listening TCP socket (borrowed: it stays open until the process ends),
// 0 when there is none. ERR_CONFIG when LISTEN_FDS names several or another kind of file.
// Thread: any.
__attribute__((warn_unused_result)) int activation_socket(int *fd, struct err *e);

#endif
