#!/bin/sh
# Ends what a test process started when that process is gone, however it went: its input ends then.
# Lines in: `+ pid N`, `+ box NAME` (a container), `+ dir PATH`; the same with `-` once that is gone by itself.
trap '' INT TERM HUP
held=''
while IFS= read -r line; do
  case $line in
    '+ '*) held="$held
${line#+ }" ;;
    '- '*) held=$(printf '%s\n' "$held" | grep -vxF -- "${line#- }") ;;
  esac
done
[ -n "$held" ] || exit 0
printf '%s\n' "$held" | while IFS= read -r one; do
  case $one in
    'pid '*) kill -9 "${one#pid }" ;;
    'box '*) docker rm -f "${one#box }" ;;
  esac
done
# A process that was killed may finish a write.
for _ in 1 2 3 4 5; do
  left=''
  printf '%s\n' "$held" | while IFS= read -r one; do case $one in 'dir '*) rm -rf "${one#dir }" ;; esac; done
  sleep 0.2
done
