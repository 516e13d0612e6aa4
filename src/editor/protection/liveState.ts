/** What tells that a database was written, without opening it. Nothing here knows vscode. */
import { stat } from 'node:fs/promises';

/** Size and time of the file and its WAL. An empty WAL is as good as none: a reader leaves one. */
export async function stateOf(
  path: string,
): Promise<{ text: string; sizeBytes: number } | undefined> {
  const [file, wal] = await Promise.all([
    stat(path).catch(() => undefined),
    stat(`${path}-wal`).catch(() => undefined),
  ]);
  if (file === undefined) return undefined;
  const parts = [file.ino, file.size, file.mtimeMs];
  if (wal !== undefined && wal.size > 0) parts.push(wal.size, wal.mtimeMs);
  return { text: parts.join(' '), sizeBytes: file.size };
}
