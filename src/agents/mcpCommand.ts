/** The arguments of `sqlite-backup mcp` for a window: its folders, and where its backups and checkpoints are. */
export function mcpArguments({
  cli,
  folders,
  backupsFolder,
  checkpoints,
}: {
  /** The program of the command line. */
  cli: string;
  folders: readonly string[];
  backupsFolder: string | undefined;
  checkpoints: string | undefined;
}): string[] {
  return [
    ...[cli, 'mcp'],
    ...folders.flatMap((folder) => ['--root', folder]),
    ...(backupsFolder === undefined ? [] : ['--to', backupsFolder]),
    ...(checkpoints === undefined ? [] : ['--checkpoints', checkpoints]),
  ];
}
