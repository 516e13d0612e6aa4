// Runs the steps of a test run, several side by side, and says at the end what failed.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { atEnd, temporaryFolder } from './hosts/lifetime.ts';

const ROOT = resolve(import.meta.dirname, '../..');

export interface Step {
  name: string;
  /** Scripts with their arguments, run one after the other with this Node. */
  commands: string[][];
  /** How many cores it keeps busy at most. */
  weight: number;
  /** Names of steps that come before it. One that is not part of the run does not count. */
  after?: string[];
  /** True for a suite of mocha, which counts its tests in the tally. */
  isSuite?: boolean;
}

/** One line of the tally, which test/support/reporter.cjs and test/support/operations.ts write. */
interface Tally {
  suite: string;
  passes?: number;
  failures?: { title: string; message: string }[];
  pending?: string[];
  /** How many items of a sweep were left out of a sample. */
  leftOut?: number;
}

interface Outcome {
  step: Step;
  failed: boolean;
  seconds: number;
  tally: Tally[];
}

/**
 * Runs the steps whose predecessors are done while their weights fit into `capacity`. The output of a step is printed
 * whole when it ends, and while it runs where it is the only one. Returns the exit code.
 */
export async function runSteps(steps: Step[], capacity: number): Promise<number> {
  const tally = join(temporaryFolder('tally').path, 'tally.jsonl');
  const waiting = [...steps];
  const running = new Map<Step, Promise<Outcome>>();
  const ended: Outcome[] = [];
  const isLive = steps.every(({ after = [] }, index) =>
    steps.slice(0, index).every(({ name }) => after.includes(name)),
  );

  const isReady = ({ after = [] }: Step): boolean =>
    ![...waiting, ...running.keys()].some(({ name }) => after.includes(name));
  const start = (): void => {
    for (const step of waiting.filter(isReady)) {
      const load = [...running.keys()].reduce((sum, { weight }) => sum + weight, 0);
      if (load > 0 && load + step.weight > capacity) continue;
      waiting.splice(waiting.indexOf(step), 1);
      if (!isLive) console.log(`... ${step.name}`);
      running.set(step, runStep(step, tally, isLive));
    }
  };
  for (start(); running.size > 0; start()) {
    const outcome = await Promise.race(running.values());
    running.delete(outcome.step);
    ended.push(outcome);
  }
  return summary(ended);
}

async function runStep(step: Step, tally: string, isLive: boolean): Promise<Outcome> {
  const begin = performance.now();
  if (isLive) console.log(`\n=== ${step.name}`);
  const output: string[] = [];
  let isGood = true;
  for (const command of step.commands) {
    const env = { ...process.env, TEST_TALLY: tally, TEST_SUITE: step.name };
    const ok = await runCommand(command, env, isLive ? undefined : (text) => output.push(text));
    isGood &&= ok;
  }
  const lines = readTally(tally).filter(({ suite }) => suite === step.name);
  const results = lines.filter(({ passes }) => passes !== undefined);
  if (step.isSuite && results.length === 0) output.push('It ended without a result\n');
  else if (step.isSuite && ranNothing(results)) output.push('It executed no test\n');
  const hasResult = !step.isSuite || !ranNothing(results);
  const failed = !isGood || !hasResult || lines.some(({ failures = [] }) => failures.length > 0);
  const seconds = (performance.now() - begin) / 1000;
  if (!isLive) console.log(`\n=== ${step.name}`);
  process.stdout.write(output.join(''));
  console.log(`--- ${step.name}: ${failed ? 'FAILED' : 'ok'}, ${seconds.toFixed(1)} s`);
  return { step, failed, seconds, tally: lines };
}

function ranNothing(results: Tally[]): boolean {
  return results.every(({ passes = 0, failures = [] }) => passes + failures.length === 0);
}

/** Runs a script of this project or of a dependency. False when it failed. */
async function runCommand(
  command: string[],
  env: NodeJS.ProcessEnv,
  keep: ((text: string) => unknown) | undefined,
): Promise<boolean> {
  const stdio = keep === undefined ? 'inherit' : 'pipe';
  const child = spawn(process.execPath, command, {
    cwd: ROOT,
    env,
    stdio: ['ignore', stdio, stdio],
  });
  const forget = atEnd(() => void child.kill());
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => keep?.(text));
  }
  const code = await new Promise((settle, fail) => {
    child.once('error', fail);
    child.once('close', settle);
  });
  forget();
  return code === 0;
}

function readTally(path: string): Tally[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Tally);
}

/** Prints what the run came to, with all that failed and all that did not run, and returns the exit code. */
function summary(outcomes: Outcome[]): number {
  const all = outcomes.flatMap(({ tally }) => tally);
  const pending = all.flatMap(({ suite, pending: titles = [] }) =>
    titles.map((title) => `  ${suite}: ${title}`),
  );
  const leftOut = all.reduce((sum, line) => sum + (line.leftOut ?? 0), 0);
  if (leftOut > 0)
    pending.push(`  ${leftOut} of the places, themes and windows that sweeps go through`);
  if (pending.length > 0) {
    console.log(
      '\nNot run here (the parts unit, extension, browser and faults run all of theirs; FAULTS=all in the environment, what takes long):',
    );
    console.log(pending.join('\n'));
  }
  const failures = outcomes.filter(({ failed }) => failed).flatMap(namesOf);
  if (failures.length > 0) console.log(`\nFailed:\n${failures.join('\n')}`);

  if (outcomes.length > 1) {
    const times = outcomes.map(({ step, seconds }) => `${step.name} ${seconds.toFixed(0)} s`);
    console.log(`\n${times.join(', ')}`);
  }
  const checks = outcomes.filter(({ step, failed }) => !step.isSuite && !failed).length;
  const passed = all.reduce((sum, line) => sum + (line.passes ?? 0), checks);
  const skipped = all.reduce((sum, line) => sum + (line.pending?.length ?? 0), 0);
  const rest = skipped > 0 ? `, ${skipped} skipped` : '';
  console.log(`\n${passed} passed, ${failures.length} failed${rest}`);
  return failures.length === 0 ? 0 : 1;
}

/** One line for each test that failed, or one for a step that failed as a whole. */
function namesOf({ step, tally }: Outcome): string[] {
  const failures = tally.flatMap((line) => line.failures ?? []);
  if (failures.length === 0) return [`  ${step.name}`];
  return failures.map(({ title, message }) => `  ${step.name}: ${title}\n      ${message}`);
}
