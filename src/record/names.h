/* SPDX-License-Identifier: MIT */

/* The constant parts of a canonical line, for its decoder and its encoder. The
 * names of texts hold the opening quote. Part of the module record. */

#ifndef KV_RECORD_NAMES_H
#define KV_RECORD_NAMES_H

#define SET_HEAD "{\"Set\":{"
#define REMOVE_HEAD "{\"Remove\":{"
#define KEY_NAME "\"key\":\""
#define KEY64_NAME "\"key64\":\""
#define VAL_NAME ",\"val\":\""
#define VALUE_NAME ",\"value\":\""
#define VAL64_NAME ",\"val64\":\""
#define EXPIRES_NAME ",\"expires\":"
#define BATCH_NAME ",\"batch\":"
#define TAIL "}}"

/* A constant text, and its size without the NUL. */
#define LITERAL(text) (text), (sizeof(text) - 1)

#endif
