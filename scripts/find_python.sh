#!/bin/sh
# Print the first of some Pythons that this project runs on; otherwise say in one sentence what is missing.
accepted=$(sed -n 's/^requires-python = "\(.*\)"$/\1/p' pyproject.toml)
fits="import re, sys; low, high = re.findall(r'3\.(\d+)', '$accepted')
sys.exit(not (3, int(low)) <= sys.version_info < (3, int(high)))"
for python in "$@"; do
  if "$python" -c "$fits" 2>/dev/null; then command -v "$python" && exit; fi
done
echo "No Python $accepted among: $*. Install one, or name one: make PYTHON=/path/to/python3.12" >&2
exit 1
