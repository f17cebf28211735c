// SPDX-License-Identifier: Apache-2.0
// A slow disk: preloaded into a server or one of our processes, it makes each flush and each
// positioned write wait for as many microseconds as the file $SLOW_DISK says (four bytes, this
// machine's order), which the test changes while the process runs. Without the file: nothing.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile uint32_t *pause_us;

static void map_pause(void)
{
    const char *path = getenv("SLOW_DISK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *pause_us, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (p != MAP_FAILED)
        pause_us = p;
}

static void wait_for_disk(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, map_pause);
    uint32_t us = pause_us ? *pause_us : 0;
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    if (us)
        nanosleep(&t, NULL);
}

// The function that this one stands before.
#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

int fsync(int fd)
{
    wait_for_disk();
    return NEXT(int (*)(int), "fsync")(fd);
}

int fdatasync(int fd)
{
    wait_for_disk();
    return NEXT(int (*)(int), "fdatasync")(fd);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    wait_for_disk();
    return NEXT(ssize_t(*)(int, const void *, size_t, off_t), "pwrite")(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    wait_for_disk();
    return NEXT(ssize_t(*)(int, const void *, size_t, off64_t), "pwrite64")(fd, data, n, at);
}
