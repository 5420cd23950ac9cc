/* SPDX-License-Identifier: MIT */

/* Lies in an index that is still believed: words of a real index are changed,
 * and then what vouches for the header is made to fit again. Of the fuzz
 * targets, only this one knows how an index is laid out. */

#ifndef INDEX_LIES_H
#define INDEX_LIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One change, as it is in an input. */
#define INDEX_LIE_SIZE 8u
struct index_lie {
    uint8_t kind;
    uint8_t part;
    uint16_t place;
    uint32_t value;
};
struct index_lie index_lie_read(const uint8_t bytes[INDEX_LIE_SIZE]);

/* What the lies can aim at. */
struct index_target {
    uint64_t log_size;
    const uint64_t *offsets; /* Of the lines. */
    size_t offset_count;
};

/* Puts a lie in an index of this size. False: the kind is none of those about
 * an index. */
bool index_lie_tell(void *region,
                    size_t size,
                    const struct index_lie *lie,
                    const struct index_target *target);

/* Makes the index belong to this log, and all its sums fit. */
void index_lie_seal(void *region,
                    size_t size,
                    uint64_t log_device,
                    uint64_t log_inode);

#endif
