/** Scripts that make shells complete verbs and options. They are made from the verbs, so they cannot lag behind. */
import { UsageError, type Verb } from './verb.ts';

type Verbs = Readonly<Record<string, Verb>>;

const shells: Readonly<Record<string, (verbs: Verbs) => string>> = { bash, zsh, fish };

export function completionFor(shell: string | undefined, verbs: Verbs): string {
  const make = shell !== undefined && Object.hasOwn(shells, shell) ? shells[shell] : undefined;
  if (make === undefined) throw new UsageError('completion takes bash, zsh or fish.');
  return make(verbs);
}

const everywhere = ['--help'];

/** The options that the usage of a verb names. */
function optionsOf({ usage, isQuestion }: Verb): string[] {
  const named = usage.match(/--[a-z][a-z-]*/g) ?? [];
  return [...new Set([...named, ...(isQuestion === true ? [] : ['--quiet']), ...everywhere])];
}

function wordsOf(verbs: Verbs): string[] {
  return [...Object.keys(verbs), 'completion', 'help'];
}

function bash(verbs: Verbs): string {
  const cases = Object.entries(verbs).map(
    ([name, verb]) => `    ${name}) options='${optionsOf(verb).join(' ')}' ;;`,
  );
  return `# sqlite-backup completion for bash: source <(sqlite-backup completion bash)
_sqlite_backup() {
  local word=\${COMP_WORDS[COMP_CWORD]} verb=\${COMP_WORDS[1]} options=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$verb" = help ]; }; then
    COMPREPLY=($(compgen -W '${wordsOf(verbs).join(' ')}' -- "$word"))
    return
  fi
  case $verb in
${cases.join('\n')}
    completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$word")); return ;;
  esac
  # Anything else is a path, which complete -o default offers.
  case $word in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
  esac
}
complete -o default -F _sqlite_backup sqlite-backup`;
}

function zsh(verbs: Verbs): string {
  const described = Object.entries(verbs).map(([name, { summary }]) =>
    quoted(`${name}:${summary.replaceAll(':', '\\:')}`),
  );
  const cases = Object.entries(verbs).map(
    ([name, verb]) => `    ${name}) compadd -- ${optionsOf(verb).join(' ')} ;;`,
  );
  return `#compdef sqlite-backup
# sqlite-backup completion for zsh: source <(sqlite-backup completion zsh), after compinit
_sqlite_backup() {
  local -a verbs=(${described.join(' ')} 'completion:Print a completion script.' 'help:Explain a verb.')
  if (( CURRENT == 2 )) || { (( CURRENT == 3 )) && [[ $words[2] == help ]]; }; then
    _describe verb verbs
    return
  fi
  if [[ $words[2] == completion ]]; then
    compadd bash zsh fish
    return
  fi
  if [[ $words[CURRENT] != -* ]]; then
    _files
    return
  fi
  case $words[2] in
${cases.join('\n')}
  esac
}
compdef _sqlite_backup sqlite-backup`;
}

function fish(verbs: Verbs): string {
  const lines = Object.entries(verbs).flatMap(([name, verb]) => [
    `complete -c sqlite-backup -f -n __fish_use_subcommand -a ${name} -d ${quoted(verb.summary)}`,
    ...optionsOf(verb).map(
      (option) =>
        `complete -c sqlite-backup -n '__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`,
    ),
  ]);
  return [
    '# sqlite-backup completion for fish: sqlite-backup completion fish | source',
    ...lines,
    "complete -c sqlite-backup -f -n __fish_use_subcommand -a completion -d 'Print a completion script.'",
    "complete -c sqlite-backup -f -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'",
  ].join('\n');
}

/** For zsh and fish, in which a quote ends a text and is put back by its own escape. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}
