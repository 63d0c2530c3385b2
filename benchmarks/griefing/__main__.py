"""``python -m benchmarks.griefing``: play every move; docs/data/griefing.json and the table of docs/GRIEFING.md."""

from benchmarks.griefing.table import measure, text, write

found = []
for name, row in measure():
    found.append((name, row))
    print(text({name: row}).splitlines()[-1], flush=True)
write(found)
