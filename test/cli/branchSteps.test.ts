import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { isThorough, itInPart } from '../support/operations.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  kill,
  run,
  runCli,
  type Ended,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const steps = isThorough ? 200 : 20;
const names = ['one.db', 'two.db', 'deep/three.db'];
const values = `SELECT group_concat(v) FROM (SELECT v FROM marks ORDER BY rowid)`;

/** In the order in which they were written. */
const marksIn = (path: string): string => (valueOf(path, values) as string | null) ?? '';

/** The same numbers for the same seed. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What is expected, by name of a database. */
interface Model {
  branch: string;
  /** Of which branch the state is. */
  owner: Map<string, string>;
  live: Map<string, string>;
  /** By branch and name. */
  saved: Map<string, string>;
}

describe('random steps of git, with databases that follow the branch', function () {
  this.timeout(isThorough ? 1_800_000 : 240_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  const repo = (...more: string[]): string => folder('repo', ...more);
  const env = (): Record<string, string> => ({
    SQLITE_BACKUP_CHECKPOINTS: folder('cp'),
    XDG_DATA_HOME: folder('data'),
    HOME: folder('home'),
    GIT_CONFIG_NOSYSTEM: '1',
  });
  const tryGit = (...args: string[]): Promise<Ended> =>
    run(['git', ...args], { cwd: repo(), env: { ...process.env, ...env() } as never });
  const git = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await tryGit(...args);
    assert.equal(code, 0, `git ${args.join(' ')}: ${stderr}`);
    return stdout + stderr;
  };

  itInPart(`have the right state after each of ${steps}, and what lay there is kept`, async () => {
    const random = numbersFrom(18);
    mkdirSync(folder('home'));
    mkdirSync(repo('deep'), { recursive: true });
    writeFileSync(
      folder('home/.gitconfig'),
      '[user]\nname = A\nemail = a@example.com\n[init]\ndefaultBranch = main\n',
    );
    await git('init', '-q');
    writeFileSync(repo('.gitignore'), '*.db*\n');
    await git('add', '.');
    await git('commit', '-qm', 'first');
    for (const name of names) {
      createDatabase(repo(name), { rows: 3 });
      withDatabase(repo(name), (db) =>
        db.exec(`PRAGMA journal_mode = ${name === 'two.db' ? 'wal' : 'delete'};
          CREATE TABLE marks (v)`),
      );
    }
    await runCli(['git', 'install'], { cwd: repo(), env: env() });
    const model: Model = {
      branch: 'main',
      owner: new Map(names.map((name) => [name, 'main'])),
      live: new Map(names.map((name) => [name, ''])),
      saved: new Map(),
    };
    const branches = ['main'];
    let step = 0;

    const write = (name: string, sql: string, value: string): void => {
      withDatabase(repo(name), (db) => db.exec(`${sql}; INSERT INTO marks VALUES ('${value}')`));
      const before = model.live.get(name) ?? '';
      model.live.set(name, before === '' ? value : `${before},${value}`);
    };
    const follow = (to: string, held?: string): string[] => {
      const replaced: string[] = [];
      for (const name of names) {
        const from = model.owner.get(name) ?? '';
        if (from === to) continue;
        const live = model.live.get(name) ?? '';
        model.saved.set(`${from} ${name}`, live);
        const state = model.saved.get(`${to} ${name}`);
        if (state !== undefined && name === held) continue;
        if (state !== undefined) {
          replaced.push(live);
          model.live.set(name, state);
        }
        model.owner.set(name, to);
      }
      model.branch = to;
      return replaced;
    };
    const requireKept = (replaced: readonly string[]): void => {
      const kept = new Set(
        readdirSync(folder('cp'))
          .filter((name) => name.endsWith('.db'))
          .map((name) => marksIn(join(folder('cp'), name))),
      );
      for (const one of replaced) assert.ok(kept.has(one), `step ${step}: ${one} is lost`);
    };
    const other = (): string => {
      const others = branches.filter((one) => one !== model.branch);
      return others[random(others.length)] ?? 'main';
    };

    const actions: (() => unknown)[] = [
      async () => {
        const to = `b${step}`;
        await git('switch', '-qc', to);
        branches.push(to);
        follow(to);
        for (const name of names) write(name, `CREATE TABLE only_${to} (a)`, `${to}`);
      },
      ...Array.from({ length: 4 }, () => async () => {
        if (branches.length < 2) return;
        const to = other();
        await git('switch', '-q', to);
        requireKept(follow(to));
      }),
      async () => {
        if (branches.length < 2) return;
        const held = names[random(names.length)] ?? '';
        const value = `held${step}`;
        const program = await holdOpen(repo(held), `INSERT INTO marks VALUES ('${value}')`);
        const before = model.live.get(held) ?? '';
        model.live.set(held, before === '' ? value : `${before},${value}`);
        const to = other();
        await git('switch', '-q', to);
        requireKept(follow(to, held));
        check();
        await kill(program);
        await runCli(['git', 'sync'], { cwd: repo(), env: env() });
        requireKept(follow(to));
      },
      () => write(names[random(names.length)] ?? '', 'SELECT 1', `w${step}`),
      () => git('commit', '-q', '--allow-empty', '-m', `step ${step}`),
      () => git('rebase', '-q', '--keep-empty', 'main'),
      () => git('merge', '-q', '--no-edit', 'main'),
      async () => {
        writeFileSync(repo('.gitignore'), `*.db*\n# ${step}\n`);
        await git('stash', '-q');
        await git('stash', 'pop', '-q');
        await git('reset', '-q', '--hard');
      },
      async () => {
        await git('switch', '-q', '--detach');
        await git('switch', '-q', model.branch);
      },
      async () => {
        await git('worktree', 'add', '-q', '--detach', folder(`tree${step}`));
        for (const name of names)
          assert.equal(
            marksIn(folder(`tree${step}`, name)),
            model.live.get(name),
            `step ${step}: the copy of ${name}`,
          );
        await git('worktree', 'remove', '--force', folder(`tree${step}`));
      },
    ];
    const check = (): void => {
      for (const name of names)
        assert.equal(
          marksIn(repo(name)),
          model.live.get(name),
          `step ${step}, ${name} on ${model.branch}`,
        );
    };
    for (step = 1; step <= steps; step++) {
      // The first three make the branches.
      const action = actions[step <= 3 ? 0 : 1 + random(actions.length - 1)];
      await action?.();
      check();
    }
  });
});
