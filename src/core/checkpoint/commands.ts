/** Which command lines change databases, when one began, and how many may cause checkpoints. Nothing here knows vscode. */

/** The moment as a face saw it. It may see it late, because the news has a way to go. */
export interface Moment {
  /** ms since 1970. */
  atMs: number;
  /** ms of the clock that no person sets, which all processes share. */
  steadyMs: number;
}

export function momentOfNow(): Moment {
  return { atMs: Date.now(), steadyMs: Number(process.hrtime.bigint() / 1_000_000n) };
}

/** What is longer is looked at so far: nothing that a terminal reports may hold up the editor. */
const longestLine = 10_000;
/** After these options the next word is a command line itself. */
const shellOptions = new Set(['-c', '-lc', '-ic', '-command', '/c', '/k']);
const deepestShell = 3;

/**
 * True when one command of the line has the words of one pattern, in this order; others may stand between. A word of a
 * command counts with its folder and version (`./bin/rails`, `prisma@6`) and without, and `*` in a pattern stands for any text.
 */
export function matchesCommand(line: string, patterns: readonly string[]): boolean {
  const wanted = patterns.flatMap((pattern) => {
    const words = pattern.trim().toLowerCase().split(/\s+/);
    return words[0] === '' ? [] : [words];
  });
  return commandsOf(line.slice(0, longestLine).toLowerCase()).some((words) =>
    wanted.some((pattern) => hasInOrder(words, pattern)),
  );
}

function hasInOrder(words: readonly string[], pattern: readonly string[]): boolean {
  let next = 0;
  for (const word of words) {
    const [wanted] = pattern.slice(next, next + 1);
    if (wanted !== undefined && namesOf(word).some((name) => isLike(name, wanted))) next += 1;
  }
  return next === pattern.length;
}

function namesOf(word: string): string[] {
  const name = word.replace(/^.*[/\\]/, '').replace(/\.(?:exe|cmd|bat|ps1)$/, '');
  return [word, name, name.replace(/(?<=.)@.*$/, '')];
}

/** Each `*` stands for any text. In linear time, whatever a person writes. */
function isLike(text: string, pattern: string): boolean {
  const pieces = pattern.split('*');
  const [first = '', last = ''] = [pieces[0], pieces.at(-1)];
  if (pieces.length === 1) return text === pattern;
  if (text.length < first.length + last.length) return false;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= text.length - last.length;
}

/** The words of each command in a line of a shell, those that are handed to another shell included. */
function commandsOf(line: string, depth = 0): string[][] {
  const commands: string[][] = [[]];
  const inner: string[][] = [];
  let word: string | undefined;
  let quote: string | undefined;
  const endWord = (): void => {
    if (word === undefined) return;
    const words = commands.at(-1) ?? [];
    const isForShell = shellOptions.has(words.at(-1) ?? '') && depth < deepestShell;
    if (isForShell) inner.push(...commandsOf(word, depth + 1));
    words.push(word);
    word = undefined;
  };
  for (let at = 0; at < line.length; at++) {
    const one = line.charAt(at);
    if (quote !== undefined) {
      if (one === quote) quote = undefined;
      else word = (word ?? '') + one;
    } else if (one === '"' || one === "'") {
      quote = one;
      word ??= '';
    } else if (one === '\\' && /[\s"']/.test(line.charAt(at + 1))) {
      at += 1;
      // At the end of a line it only continues the line.
      if (line.charAt(at) !== '\n') word = (word ?? '') + line.charAt(at);
    } else if (/[;&|\n()`]/.test(one)) {
      endWord();
      commands.push([]);
    } else if (/\s/.test(one)) endWord();
    else word = (word ?? '') + one;
  }
  endWord();
  return [...commands.filter((words) => words.length > 0), ...inner];
}

/** So many at once, and then one in each of so many ms: a pattern that matches everything costs little. */
const burst = 4;
const refillMs = 15_000;
/** A task reports its command line twice: as a task, and as a command of its terminal. */
const sameMs = 3000;

/** Decides which of the commands that match get a checkpoint. */
export class CommandTurns {
  #left = burst;
  #filledAt = Number.NEGATIVE_INFINITY;
  #last: { line: string; at: number } | undefined;
  #isRunning = false;

  /** `go`: take it now, and call `ended`. `busy` and `often`: it gets none. `same`: it has one already. */
  begin(line: string, at: number): 'go' | 'same' | 'busy' | 'often' {
    if (this.#last?.line === line && at - this.#last.at < sameMs) return 'same';
    if (this.#isRunning) return 'busy';
    const filled = Math.floor((at - this.#filledAt) / refillMs);
    if (filled > 0) {
      this.#left = Math.min(burst, this.#left + filled);
      this.#filledAt = at;
    }
    if (this.#left === 0) return 'often';
    this.#left -= 1;
    this.#last = { line, at };
    this.#isRunning = true;
    return 'go';
  }

  ended(): void {
    this.#isRunning = false;
  }
}
