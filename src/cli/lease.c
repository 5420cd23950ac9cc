/* SPDX-License-Identifier: MIT */

/* A key that is held for a while. Each change asks for the value that nobody
 * else has: so what has been lost is never taken away from whoever has it. */

#include "cli/lease.h"

#include "cli/output.h"
#include "cli/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The time as people read it, in UTC. */
static void name_time(int64_t now_ms, char *text, size_t size)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm fields;

    if (gmtime_r(&seconds, &fields) == NULL ||
        strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &fields) == 0) {
        (void)snprintf(text, size, "@%" PRId64, (int64_t)seconds);
    }
}

/* A number that nobody else has: at random, or where that cannot be had, of what
 * differs from process to process. */
static uint64_t make_unique(void)
{
    struct timespec now = {0};
    uint64_t number = 0;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && read(fd, &number, sizeof(number)) != sizeof(number)) {
        number = 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return number ^ (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^
           (uint64_t)getpid() << 20;
}

static kvstore_status write_value(const struct cli_lease *lease,
                                  const char *value,
                                  int64_t expires_ms,
                                  int condition)
{
    const kvstore_set_options wanted = {
        .size = sizeof(wanted),
        .condition = condition,
        .expected = condition == KVSTORE_IF_VALUE ? lease->value : NULL,
        .expected_size =
            condition == KVSTORE_IF_VALUE ? strlen(lease->value) : 0,
        .expires_ms = expires_ms};

    return kvstore_set_with(lease->store,
                            lease->key,
                            strlen(lease->key),
                            value,
                            strlen(value),
                            &wanted);
}

int cli_lease_take(struct cli_lease *lease,
                   const struct cli_options *options,
                   kvstore *store,
                   const char *key)
{
    int64_t now_ms = kvstore_now_ms();
    char moment[40];

    *lease = (struct cli_lease){.options = options, .store = store, .key = key};
    name_time(now_ms, moment, sizeof(moment));
    (void)snprintf(lease->value,
                   sizeof(lease->value),
                   "running %jd %s %016" PRIx64,
                   (intmax_t)getpid(),
                   moment,
                   make_unique());
    kvstore_status status = write_value(
        lease, lease->value, now_ms + CLI_LEASE_MS, KVSTORE_IF_ABSENT);
    if (status == KVSTORE_OK || status == KVSTORE_CONFLICT) {
        return cli_exit_status(status);
    }
    return cli_store_failed(options, "take", key, status);
}

static void tell_lost(struct cli_lease *lease)
{
    if (!lease->is_lost) {
        cli_tell("warning: '%s' in '%s' is not ours any more, and the command "
                 "still runs",
                 lease->key,
                 lease->options->data_dir);
    }
    lease->is_lost = true;
}

bool cli_lease_renew(struct cli_lease *lease)
{
    kvstore_status status = write_value(
        lease, lease->value, kvstore_now_ms() + CLI_LEASE_MS, KVSTORE_IF_VALUE);

    if (status == KVSTORE_CONFLICT) {
        tell_lost(lease);
        return true;
    }
    if (status != KVSTORE_OK) {
        (void)cli_store_failed(lease->options, "renew", lease->key, status);
    }
    return status == KVSTORE_OK;
}

int cli_lease_keep(struct cli_lease *lease, int64_t expires_ms)
{
    int64_t now_ms = kvstore_now_ms();
    char value[64];
    char moment[40];

    if (expires_ms > 0 && expires_ms <= now_ms) {
        return cli_lease_release(lease);
    }
    name_time(now_ms, moment, sizeof(moment));
    (void)snprintf(value, sizeof(value), "done %s", moment);
    kvstore_status status =
        write_value(lease, value, expires_ms, KVSTORE_IF_VALUE);
    if (status == KVSTORE_CONFLICT) {
        /* It may have expired, and be nobody's. */
        status = write_value(lease, value, expires_ms, KVSTORE_IF_ABSENT);
    }
    if (status == KVSTORE_OK || status == KVSTORE_CONFLICT) {
        return CLI_DONE;
    }
    return cli_store_failed(lease->options, "set", lease->key, status);
}

int cli_lease_release(struct cli_lease *lease)
{
    kvstore_status status = kvstore_remove_if(lease->store,
                                              lease->key,
                                              strlen(lease->key),
                                              lease->value,
                                              strlen(lease->value));

    if (status == KVSTORE_OK || status == KVSTORE_CONFLICT) {
        return CLI_DONE;
    }
    return cli_store_failed(lease->options, "remove", lease->key, status);
}
