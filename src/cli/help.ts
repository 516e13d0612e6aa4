/** What `--help` prints. */
import type { Verb } from './verb.ts';

const exitCodeText = [
  'Exit codes: 0 all good, 1 something failed or is damaged, 2 wrong usage,',
  '3 nothing is known to be damaged, but a backup could not be checked (locked, unreadable, no time),',
  '130 interrupted.',
].join('\n');

/** Of the whole command line: each verb with its usage. */
export function helpOf(verbs: Readonly<Record<string, Verb>>): string {
  return [
    'Usage: sqlite-backup VERB …',
    '',
    ...Object.values(verbs).flatMap(({ usage, summary }) => [`  ${usage}`, `      ${summary}`]),
    '  completion bash|zsh|fish',
    '      Print a completion script for a shell.',
    '',
    'sqlite-backup help VERB shows examples. With --quiet, verbs that do something print only what needs attention.',
    '',
    exitCodeText,
  ].join('\n');
}

/** Of one verb: usage, what it does, examples. */
export function helpOfVerb({ usage, summary, examples, isQuestion }: Verb): string {
  // An example may set the environment before the name of the program.
  const lines = examples.map((example) =>
    example.includes('sqlite-backup ') ? example : `sqlite-backup ${example}`,
  );
  return [
    `Usage: sqlite-backup ${usage}`,
    '',
    summary,
    ...(isQuestion === true ? [] : ['', 'With --quiet it prints only what needs attention.']),
    '',
    lines.length === 1 ? 'Example:' : 'Examples:',
    ...lines.map((line) => `  ${line}`),
  ].join('\n');
}
