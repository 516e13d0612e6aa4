/** Pasting into an interactive shell, as a person does: the shell has a terminal, its own prompt and line editor. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { endAfterEach } from './processes.ts';

const prompt = 'ready# '; // For root, mksh wants a number sign in it.

/** Without the settings of the person who runs the tests. */
const shells = {
  bash: 'bash --norc --noprofile -i',
  dash: 'dash -i',
  zsh: 'zsh -f -i',
  mksh: 'mksh -i',
} as const;

export type InteractiveShell = keyof typeof shells;

interface PasteOptions {
  cwd: string;
  /** As terminals paste where the shell asks for it (bash, zsh): as one piece of text, then Enter. */
  inBrackets?: boolean;
}

export interface Pasted {
  status: number;
  /** All that the terminal showed, the echo of the text included. */
  shown: string;
}

/**
 * Pastes the text and presses Enter. The line after it, which tells the exit status, is there before the text has run:
 * what the text would read from the terminal, or end, would take it away.
 */
export async function paste(
  shell: InteractiveShell,
  text: string,
  { cwd, inBrackets = false }: PasteOptions,
): Promise<Pasted> {
  const child = spawn('script', ['-qfec', shells[shell], '/dev/null'], {
    cwd,
    env: {
      ...process.env,
      ...{ SHELL: '/bin/sh', TERM: 'xterm', PS1: prompt, PS2: '', HISTFILE: '', ENV: '' },
      HOME: cwd,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // The shell goes with its terminal.
  endAfterEach(child);
  let shown = '';
  let isPasted = false;
  const tell = `printf 'ended-%s\\n' $?\r`;
  const pasteNow = (): void => {
    isPasted = true;
    const typed = text.replaceAll('\n', '\r');
    child.stdin.write(inBrackets ? `\u001b[200~${typed}\u001b[201~\r${tell}` : `${typed}\r${tell}`);
  };
  const ended = new Promise<number>((resolve, reject) => {
    child.once('exit', () => {
      reject(new Error(`${shell} has ended: ${shown}`));
    });
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      shown += more;
      if (!isPasted && shown.includes(prompt)) pasteNow();
      const found = /ended-(\d+)\r?\n/.exec(shown);
      if (found !== null) resolve(Number(found[1]));
    });
  });
  try {
    return { status: await ended, shown };
  } finally {
    const exited = child.exitCode === null ? once(child, 'exit') : undefined;
    child.stdin.end('exit\r');
    await exited;
  }
}
