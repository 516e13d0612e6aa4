import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { readGitHead } from '../../src/core/snapshot/gitHead.ts';
import { createDatabase, manifestOf, snapshot } from '../support/databases.ts';
import { fixture, root, run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the git head', () => {
  const folder = useTempFolder();

  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@x', ...args], {
      cwd: folder('repo'),
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: folder(), GIT_CONFIG_NOSYSTEM: '1' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  const commit = (): string => {
    git('commit', '--allow-empty', '-m', 'x');
    return git('rev-parse', 'HEAD');
  };

  beforeEach(() => {
    mkdirSync(folder('repo'));
    git('init', '--initial-branch=main', '.');
  });

  it('is the branch and the commit, from any folder within', () => {
    const hash = commit();
    mkdirSync(folder('repo/a/b'), { recursive: true });
    for (const name of ['repo', 'repo/a/b'])
      assert.deepEqual(readGitHead(folder(name)), { branch: 'main', commit: hash });
  });

  it('is a branch with slashes', () => {
    commit();
    git('checkout', '-b', 'feature/x/y');
    assert.equal(readGitHead(folder('repo'))?.branch, 'feature/x/y');
  });

  it('is only the commit when detached', () => {
    const hash = commit();
    git('checkout', '--detach');
    assert.deepEqual(readGitHead(folder('repo')), { commit: hash });
  });

  it('is only the branch before the first commit', () => {
    assert.deepEqual(readGitHead(folder('repo')), { branch: 'main' });
  });

  it('is found in packed references, and the newer loose one counts', () => {
    const packed = commit();
    git('tag', '-a', 'v1', '-m', 'x');
    git('pack-refs', '--all');
    assert.match(readFileSync(folder('repo/.git/packed-refs'), 'utf8'), /refs\/heads\/main/);
    assert.deepEqual(readGitHead(folder('repo')), { branch: 'main', commit: packed });
    assert.deepEqual(readGitHead(folder('repo')), {
      branch: 'main',
      commit: git('rev-parse', 'HEAD'),
    });
    const newer = commit();
    assert.deepEqual(readGitHead(folder('repo')), { branch: 'main', commit: newer });
  });

  for (const packed of [false, true]) {
    it(`is that of a linked work tree itself${packed ? ', packed' : ''}`, () => {
      const hash = commit();
      git('worktree', 'add', '-b', 'other', '../linked');
      if (packed) git('pack-refs', '--all');
      assert.deepEqual(readGitHead(folder('linked')), { branch: 'other', commit: hash });
      assert.deepEqual(readGitHead(folder('repo')), { branch: 'main', commit: hash });
    });
  }

  it('is read in repositories with SHA-256', () => {
    rmSync(folder('repo/.git'), { recursive: true });
    git('init', '--object-format=sha256', '--initial-branch=main', '.');
    const hash = commit();
    assert.equal(hash.length, 64);
    assert.deepEqual(readGitHead(folder('repo')), { branch: 'main', commit: hash });
  });

  it('is none outside of a repository, nor in a folder that does not exist', () => {
    assert.equal(readGitHead(folder()), undefined);
    assert.equal(readGitHead(folder('nowhere/at/all')), undefined);
  });

  describe('of a hostile repository', () => {
    const head = (): string => folder('repo/.git/HEAD');
    const hostile: [what: string, make: () => void][] = [
      ['text in HEAD', () => writeFileSync(head(), 'text')],
      ['nothing in HEAD', () => writeFileSync(head(), '')],
      ['no HEAD', () => rmSync(head())],
      [
        'a reference to a file elsewhere',
        () => writeFileSync(head(), 'ref: refs/../../../../../../etc/passwd'),
      ],
      ['a NUL in HEAD', () => writeFileSync(head(), 'ref: refs/heads/a\0b')],
      [
        'a branch of several lines',
        () => writeFileSync(head(), 'ref: refs/heads/a\nb\n\u001b[31mred'),
      ],
      [
        'a branch of 100,000 letters',
        () => writeFileSync(head(), `ref: refs/heads/${'x'.repeat(100_000)}`),
      ],
      ['a huge HEAD', () => writeFileSync(head(), Buffer.alloc(20_000_000, 'x'))],
      [
        'a huge packed-refs',
        () => {
          writeFileSync(folder('repo/.git/packed-refs'), '');
          for (let n = 0; n < 20; n++)
            appendFileSync(folder('repo/.git/packed-refs'), Buffer.alloc(1_000_000, 'x\n'));
        },
      ],
      [
        'a .git that is a link to itself',
        () => {
          rmSync(folder('repo/.git'), { recursive: true });
          symlinkSync('.git', folder('repo/.git'));
        },
      ],
      [
        'a .git that leads nowhere',
        () => {
          rmSync(folder('repo/.git'), { recursive: true });
          writeFileSync(folder('repo/.git'), 'gitdir: /nowhere/at/all\n');
        },
      ],
      [
        'a .git that leads to itself',
        () => {
          rmSync(folder('repo/.git'), { recursive: true });
          writeFileSync(folder('repo/.git'), `gitdir: ${folder('repo/.git')}\n`);
        },
      ],
      [
        'a HEAD that is a folder',
        () => {
          rmSync(head());
          mkdirSync(head());
        },
      ],
    ];
    for (const [what, make] of hostile) {
      it(`keeps nobody from a backup, whose manifest can be read: ${what}`, async () => {
        make();
        const found = readGitHead(folder('repo'));
        const { path } = await snapshot(createDatabase(folder('repo/app.db')));
        assert.deepEqual(manifestOf(path).git, found);
        assert.equal(found?.commit, undefined);
        assert.ok((found?.branch ?? '').length <= 4096);
        assert.doesNotMatch(found?.branch ?? '', /\p{Cc}/u);
      });
    }

    for (const [what, make] of [
      ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
      ['a device without end', (path: string) => symlinkSync('/dev/zero', path)],
    ] as const) {
      it(`does not wait for ${what} as HEAD`, async function () {
        if (process.platform === 'win32') this.skip();
        this.timeout(10_000);
        rmSync(head());
        make(head());
        // In a process of its own, which can be ended when it waits all the same.
        const request = {
          database: createDatabase(folder('app.db')),
          folder: folder('backups'),
          recordAs: { path: 'app.db' },
          method: 'exact',
          trigger: 'cli',
          verify: false,
          busyTimeoutMs: 100,
          largestBytes: 1e9,
          toolVersion: '0',
          gitFolder: dirname(folder('repo/.git')),
        };
        const { code, stdout } = await run(
          [
            process.execPath,
            '--max-old-space-size=100',
            fixture('job.ts'),
            JSON.stringify(request),
          ],
          {
            cwd: root,
            onStart: (child) => setTimeout(() => child.kill('SIGKILL'), 3000).unref(),
          },
        );
        assert.equal(code, 0, stdout);
      });
    }
  });
});
