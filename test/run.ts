// npm test runs everything; one part runs with: node test/run.ts checks|unit|extension|browser|faults
// Arguments after unit, browser and faults go to mocha; extension takes --grep PATTERN.
import { existsSync, globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { temporaryFolder } from './support/hosts/lifetime.ts';
import { runSteps } from './support/steps.ts';
import type { Step } from './support/steps.ts';

const ROOT = resolve(import.meta.dirname, '..');
const JOBS = Math.max(2, availableParallelism());
// Tests inherit it, so that none touches what is remembered for the user.
process.env['XDG_DATA_HOME'] = temporaryFolder('data').path;

// Node keeps the code that it has compiled: most processes of a run load the same few files.
process.env['NODE_COMPILE_CACHE'] = temporaryFolder('code').path;

const build: Step = { name: 'build', weight: 1, commands: [['esbuild.mjs', '--tests']] };

const processes: Step = {
  name: 'processes',
  weight: 1,
  commands: [['esbuild.mjs', '--processes']],
};

/** Installs what windows need, where it is missing. */
const hosts: Step = { name: 'hosts', weight: 0, commands: [['test/support/hosts/install.ts']] };

const packaging: Step = { name: 'package', weight: 1, commands: [['test/support/package.ts']] };

const checks: Step[] = [
  // The linter asks the compiler for types, and tells its errors too.
  { name: 'types and lint', weight: 1, commands: [['node_modules/oxlint/bin/oxlint']] },
  { name: 'format', weight: 1, commands: [['node_modules/oxfmt/bin/oxfmt', '--check']] },
  { name: 'unused code', weight: 1, commands: [['node_modules/knip/bin/knip.js']] },
];

const unit = (args: string[]): Step => ({
  name: 'unit tests',
  weight: 2,
  after: ['processes'],
  isSuite: true,
  // Ample on a busy machine, and an end for a test that hangs. It is the longest suite, and waits most of the time.
  commands: [mocha('test/{core,worker,cli,runbook}/**/*.test.ts', 60_000, args, 2 * JOBS)],
});

const extension = (args: string[]): Step => ({
  name: 'extension suite',
  weight: 1,
  after: ['build', 'hosts'],
  isSuite: true,
  commands: [['test/support/hosts/runExtensionTests.ts', ...args]],
});

const browser = (args: string[]): Step => ({
  name: 'browser suite',
  weight: 2,
  after: ['processes', 'package', 'hosts'],
  isSuite: true,
  // Two windows, their servers and browsers share the machine: what takes too long once may be tried once more.
  commands: [mocha('test/browser/**/*.test.ts', 120_000, ['--retries', '1', ...args])],
});

const faults = (args: string[]): Step => ({
  name: 'faults',
  weight: 2,
  after: ['processes'],
  isSuite: true,
  commands: [mocha('test/faults/**/*.test.ts', 120_000, args, 2 * JOBS)],
});

const [part, ...args] = process.argv.slice(2);
// Two more than there are cores: tests wait for processes and windows half of the time.
process.exit(await runSteps(stepsOf(part, args), JOBS + 2));

/** In the order in which they begin: the longest first, and what is short fills the gaps. */
function stepsOf(part: string | undefined, args: string[]): Step[] {
  switch (part) {
    case undefined: {
      // What has a part of its own to run in leaves the longest to it.
      process.env['TEST_ESSENTIALS'] = 'true';
      const first = [processes, build, packaging, hosts];
      const all = [...first, unit([]), extension([]), ...checks, ...windows([])];
      return process.env['CI'] ? [...all, faults([])] : all;
    }
    case 'checks':
      return checks;
    case 'unit':
      return [processes, unit(args)];
    case 'extension':
      return [build, extension(args)];
    case 'browser':
      return [processes, { ...packaging, after: ['processes'] }, ...windows(args)];
    case 'faults':
      return [processes, faults(args)];
    default:
      console.error(`No part is called "${part}": checks, unit, extension, browser, faults`);
      return process.exit(2);
  }
}

function windows(args: string[]): Step[] {
  // The browser suite takes the package of this run.
  process.env['TEST_PACKAGED'] = 'true';
  if (process.platform !== 'win32') return [browser(args)];
  console.log('Not run: the browser suite, whose VS Code server does not run on Windows');
  return [];
}

/**
 * Mocha on the files of `pattern`, or on the ones named in `args`. Files run side by side: each test has its own
 * folder, processes and windows, and waits for them most of the time. The largest files come first, as the likely
 * longest, so that none is left to run alone at the end.
 */
function mocha(pattern: string, timeoutMs: number, args: string[], jobs = JOBS): string[] {
  const files = args.some((argument) => existsSync(argument))
    ? []
    : globSync(pattern, { cwd: ROOT }).sort((left, right) => sizeOf(right) - sizeOf(left));
  return [
    'node_modules/mocha/bin/mocha.js',
    ...['--reporter', 'test/support/reporter.cjs', '--timeout', String(timeoutMs)],
    ...['--parallel', '--jobs', String(jobs)],
    ...args,
    ...files,
  ];
}

function sizeOf(file: string): number {
  return statSync(resolve(ROOT, file)).size;
}
