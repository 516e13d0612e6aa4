import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDatabase, flipValue, snapshot } from '../support/databases.ts';
import {
  cliEntry,
  endProcessesAfterEach,
  needProgram,
  root,
  run,
  runCli,
} from '../support/processes.ts';
import { packageCommandLine } from '../support/packageCommandLine.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

describe('the command line on a server', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  describe('with --quiet', () => {
    it('prints nothing when all is well, and still says what is wrong', async () => {
      createDatabase(folder('app.db'), { rows: 100 });
      const { path: good } = await snapshot(folder('app.db'), { folder: folder('b') });
      for (const args of [
        ['back-up', folder('app.db'), '--to', folder('c'), '--quiet'],
        ['verify', good, '--drill', '--quiet'],
        ['prune', '--to', folder('b'), '--keep-last', '1', '--quiet'],
      ]) {
        const { code, stdout, stderr } = await runCli(args);
        assert.deepEqual([args[0], code, stdout, stderr], [args[0], 0, '', '']);
      }
      flipValue(good, 'item 50');
      const damaged = await runCli(['verify', '--quiet', good]);
      assert.deepEqual([damaged.code, damaged.stdout], [1, '']);
      assert.ok(damaged.stderr.startsWith(`damaged    ${good}\n`), damaged.stderr);
      const missing = await runCli(['back-up', '--quiet', folder('no.db'), '--to', folder('b')]);
      assert.deepEqual([missing.code, missing.stdout], [1, '']);
      assert.match(missing.stderr, /no\.db/);
    });

    it('changes nothing of a document that a script reads', async () => {
      createDatabase(folder('app.db'));
      const args = ['back-up', folder('app.db'), '--to', folder('b'), '--quiet', '--json'];
      const { stdout } = await runCli(args);
      assert.equal((JSON.parse(stdout) as { backups: unknown[] }).backups.length, 1);
    });

    it('is refused where only the answer would be left out', async () => {
      for (const args of [
        ['list', '--to', folder()],
        ['find', folder()],
        ['prune', '--to', folder(), '--keep-last', '1', '--dry-run'],
        ['restore', 'a.db', 'b.db', '--plan'],
      ]) {
        const { code, stdout, stderr } = await runCli([...args, '--quiet']);
        assert.deepEqual([code, stdout], [2, '']);
        assert.match(stderr, /--quiet would hide/);
      }
    });
  });

  it('runs from cron: without a working folder of use, and with an empty environment', async function () {
    if (process.platform === 'win32') this.skip();
    const site = folder('site');
    mkdirSync(join(site, 'uploads'), { recursive: true });
    writeFileSync(join(site, 'uploads/a.txt'), 'a');
    createDatabase(join(site, 'app.db'));
    const command = (...args: string[]): string[] => [
      'env',
      '-i',
      process.execPath,
      cliEntry,
      ...args,
    ];
    const options = { cwd: '/' };
    const bundled = await run(
      command(
        ...['bundle', join(site, 'app.db'), '--to', folder('b'), '--root', site],
        ...[
          '--include',
          join(site, 'uploads/**'),
          '--include',
          `!${join(site, 'uploads/*.tmp')}`,
          '--json',
        ],
      ),
      options,
    );
    assert.deepEqual([bundled.code, bundled.stderr], [0, '']);
    const { bundle } = JSON.parse(bundled.stdout) as { bundle: { members: { name: string }[] } };
    const names = bundle.members.map(({ name }) => name).sort();
    assert.deepEqual(names, ['app.db', 'files/uploads/a.txt']);
    const quiet = await run(
      command('back-up', join(site, 'app.db'), '--to', folder('b'), '--quiet'),
      options,
    );
    assert.deepEqual([quiet.code, quiet.stdout, quiet.stderr], [0, '', '']);
  });

  describe('takes as --root and --include', () => {
    const bundle = async (...args: string[]): Promise<string> => {
      const ended = await runCli(['bundle', folder('x[1]/app.db'), '--to', folder('b'), ...args], {
        cwd: folder(),
      });
      assert.deepEqual([ended.code, ended.stdout, existsSync(folder('b'))], [2, '', false]);
      return ended.stderr;
    };
    beforeEach(() => {
      mkdirSync(folder('x[1]'));
      createDatabase(folder('x[1]/app.db'));
    });

    it('nothing outside of the root', async () => {
      assert.match(await bundle('--include', '/etc/**'), /\/etc\/\*\* is not below .* --root DIR/);
      const beside = await bundle('--root', folder('x[1]'), '--include', folder('x[1]2/**'));
      assert.match(beside, /is not below/);
    });

    it('no root that is no folder', async () => {
      for (const no of ['', 'missing', 'x[1]/app.db'])
        assert.match(await bundle('--root', no), /--root takes a folder/);
    });

    it('a root whose name means something in a glob', async () => {
      writeFileSync(folder('x[1]/.env'), 'A=1');
      const args = ['--root', folder('x[1]'), '--include', folder('x[1]/.env'), '--json'];
      const ended = await runCli(['bundle', folder('x[1]/app.db'), '--to', folder('b'), ...args]);
      assert.equal(ended.code, 0, ended.stderr);
      assert.match(ended.stdout, /"name":"files\/\.env"/);
    });
  });

  it('explains each verb with an example that it takes', async () => {
    const { stdout } = await runCli(['help']);
    const verbs = [...stdout.matchAll(/^ {2}([a-z-]+) [A-Z-]/gm)].map(([, name]) => name ?? '');
    assert.ok(verbs.length > 15, stdout);
    for (const verb of ['bundle', 'restore', 'prune']) {
      const { code, stdout: help } = await runCli(['help', verb]);
      assert.equal(code, 0);
      assert.match(help, new RegExp(`^Examples?:\n(  .*sqlite-backup ${verb} .*\n)+`, 'm'));
    }
    const unknown = await runCli(['help', 'bundel']);
    assert.deepEqual([unknown.code, unknown.stdout], [2, '']);
  });

  it('has colours on a terminal only', async function () {
    if (process.platform !== 'linux') this.skip(); // `script` makes the terminal.
    needProgram('script', 'bsdutils');
    const database = createDatabase(folder('app.db'));
    const { path: backup } = await snapshot(database, { folder: folder('b') });
    assert.ok(!(await runCli(['verify', backup])).stdout.includes('\u001b'));
    const onTerminal = async (env: Record<string, string>): Promise<string> => {
      const line = `'${process.execPath}' '${cliEntry}' verify '${backup}'`;
      const args = ['script', '-qec', line, '/dev/null'];
      return (await run(args, { env: { TERM: 'xterm', NO_COLOR: '', ...env } })).stdout;
    };
    assert.ok((await onTerminal({})).includes('\u001b[32mok       \u001b[39m  '));
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }])
      assert.match((await onTerminal(env)).replaceAll('\r\u001b[K', '\n'), /^ok {9}\S/m);
  });

  describe('completes', () => {
    it('verbs and options in bash', async function () {
      if (process.platform === 'win32') this.skip();
      const { stdout } = await runCli(['completion', 'bash']);
      const complete = (...words: string[]): string =>
        execFileSync(
          'bash',
          [
            '--norc',
            '-c',
            `${stdout}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sqlite_backup; echo "\${COMPREPLY[*]}"`,
            'bash',
            'sqlite-backup',
            ...words,
          ],
          { encoding: 'utf8' },
        ).trim();
      assert.equal(complete('ver'), 'verify');
      assert.equal(complete('help', 'bun'), 'bundle');
      assert.equal(complete('back-up', 'app.db', '--to'), '--to --together');
      assert.equal(complete('completion', ''), 'bash zsh fish');
      assert.equal(complete('verify', 'b'), '');
    });

    itInPart('in zsh and in fish', async function () {
      if (process.platform !== 'linux') this.skip();
      needProgram('zsh', 'zsh');
      needProgram('fish', 'fish');
      const zsh = (await runCli(['completion', 'zsh'])).stdout;
      const answer = [
        'compadd() { print -r -- "$@" }',
        'words=(sqlite-backup verify --)',
        'CURRENT=3',
        '_sqlite_backup',
      ];
      const lines = ['autoload -U compinit', `compinit -D -d '${folder('dump')}'`, zsh, ...answer];
      const offered = await run(['zsh', '-f', '-c', lines.join('\n')]);
      assert.deepEqual(
        [offered.stderr, offered.stdout],
        ['', '-- --drill --deadline --checkpoints --json --quiet --help\n'],
      );
      const fish = (await runCli(['completion', 'fish'])).stdout;
      writeFileSync(folder('c.fish'), fish);
      const command = `source '${folder('c.fish')}'; complete -C 'sqlite-backup ver'; complete -C 'sqlite-backup verify --dr'`;
      const shown = await run(['fish', '--no-config', '-c', command], { env: { HOME: folder() } });
      assert.match(shown.stdout, /^verify\tCheck/m);
      assert.match(shown.stdout, /^--drill$/m);
    });

    it('for no other shell', async () => {
      for (const args of [[], ['tcsh'], ['constructor'], ['bash', 'zsh']]) {
        const { code, stdout, stderr } = await runCli(['completion', ...args]);
        assert.deepEqual([code, stdout], [2, '']);
        assert.match(stderr, /bash, zsh or fish/);
      }
    });
  });

  describe('as a package for npm', function () {
    this.timeout(120_000);

    itInPart('runs by npx from an empty folder', async function () {
      if (process.platform === 'win32') this.skip();
      const packed = packageCommandLine(folder());
      mkdirSync(folder('empty'));
      copyFileSync(packed, folder('empty/cli.tgz'));
      createDatabase(folder('app.db'));
      const npx = (...args: string[]): ReturnType<typeof run> =>
        run(['npx', '--yes', '--prefer-offline', './cli.tgz', ...args], {
          cwd: folder('empty'),
          env: {
            npm_config_cache: folder('npm'),
            PATH: `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`,
          },
        });
      const made = await npx('back-up', '../app.db', '--to', '../b', '--json');
      assert.equal(made.code, 0, made.stderr);
      assert.match(made.stdout, /"verified":"ok"/);
      assert.deepEqual(readdirSync(folder('empty')), ['cli.tgz']);
    });

    it('says which Node.js it needs when this one is older', async () => {
      const preload = folder('older.cjs');
      writeFileSync(
        preload,
        "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.19.0' } });",
      );
      const start = join(root, 'src/cli/start.cjs');
      const { code, stdout, stderr } = await run([
        process.execPath,
        '--require',
        preload,
        start,
        'list',
      ]);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /needs Node\.js 22\.14 or newer; this is Node\.js 18\.19\.0/);
    });
  });
});
