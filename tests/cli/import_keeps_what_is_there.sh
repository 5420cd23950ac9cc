# SPDX-License-Identifier: MIT
#
# import --if-absent passes over what is there, and that is no error.

. "$(dirname "$0")/support.sh"
kvstore set here old
kvstore set --expires 20ms past old
sleep 0.1
cat >lines <<'END'
{"key":"here","value":"new"}
{"key":"past","value":"new"}
{"key":"free","value":"first"}
{"key":"free","value":"second"}
{"Remove":{"key":"here"}}
END
expect_status 0 kvstore import --if-absent lines
expect_stderr
expect_value here old
expect_value past new
expect_value free first

# Also in several batches.
seq 2500 | sed 's/.*/{"key":"k&","value":"a"}/' | kvstore import
seq 2000 3000 | sed 's/.*/{"key":"k&","value":"b"}/' >lines
expect_status 0 kvstore import --if-absent lines
expect_value k2500 a
expect_value k2501 b
