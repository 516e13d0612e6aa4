/** The text of ours in git's hook after a checkout. */
export const begin = '# >>> sqlite-backup >>>';
export const end = '# <<< sqlite-backup <<<';
export const madeFile = '# This file was made for it.';
export const madeFolder = '# This folder was made for it.';

export const callOfHook = 'sqlite-backup git sync --hook';
export const lineByHand = `${callOfHook} "$1" "$2" "$3" || :`;

/** POSIX sh. Whatever happens, the hook goes on, and so does git. */
export function blockFor({
  node,
  script,
  made,
}: {
  node: string;
  script: string;
  made: readonly string[];
}): string {
  return [
    begin,
    '# The databases follow the branch. sqlite-backup git uninstall removes these lines.',
    ...made,
    'if [ "${3-}" = 1 ]; then',
    '  (',
    `    node=${quoted(node)} script=${quoted(script)}`,
    '    if [ -x "$node" ] && [ -r "$script" ]; then',
    '      ELECTRON_RUN_AS_NODE=1 "$node" "$script" git sync --hook "$1" "$2" "$3"',
    '    elif command -v sqlite-backup >/dev/null 2>&1; then',
    '      sqlite-backup git sync --hook "$1" "$2" "$3"',
    '    fi',
    '  ) </dev/null >&2 || :',
    'fi',
    `${end}\n`,
  ].join('\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
