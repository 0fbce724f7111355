#!/bin/sh
# Runs a compiler command (the arguments) and keeps what ptxas says of registers and spills in <object>.ptxas.txt; the rest
# of its messages go on.
object=
previous=
for argument in "$@"; do
  [ "$previous" = "-o" ] && object=$argument
  previous=$argument
done
[ -n "$object" ] || exec "$@"
messages=$("$@" 2>&1)
status=$?
printf '%s\n' "$messages" | grep -E 'ptxas info|bytes stack frame' >"$object.ptxas.txt"
printf '%s\n' "$messages" | grep -vE 'ptxas info|bytes stack frame|^$' >&2
exit $status
