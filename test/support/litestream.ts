import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Answers as Litestream 0.5 documents it (docs/CLI_JSON_OUTPUT.md of its repository). Litestream itself is in no registry. */
const standIn = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
[ "$1" = version ] && { cat "$here/version"; exit 0; }
for last; do :; done
for one; do [ "$before" = -o ] && out=$one; before=$one; done
echo 'level=INFO msg="restoring"' >&2
case "$*" in
*-dry-run*) printf '{"source":"%s","target_path":"%s","replica":"file","min_txid":"0000000000000001","max_txid":"0000000000000004","more":1,"files":[{"level":9,"name":"0000000000000001-0000000000000004.ltx","min_txid":"0000000000000001","max_txid":"0000000000000004","size":8192,"timestamp":"2026-04-24T12:00:00Z"}]}' "$last" "$out" ;;
*) . "$here/restore"
   printf '{"db_path":"%s","replica":"file","txid":"0000000000000004","duration_ms":125,"integrity_check":"full"}' "$out" ;;
esac
`;

/** Puts the stand-in into `folder`, which has a file `replica` to restore. `restore` is run by its shell. */
export function putLitestream(
  folder: string,
  {
    restore = 'cp "$here/replica" "$out"',
    version = '0.5.2',
  }: { restore?: string | undefined; version?: string | undefined } = {},
): void {
  writeFileSync(join(folder, 'litestream'), standIn, { mode: 0o755 });
  writeFileSync(join(folder, 'restore'), restore);
  writeFileSync(join(folder, 'version'), version);
}
