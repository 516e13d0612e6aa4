import assert from 'node:assert/strict';
import {
  BackupError,
  explain,
  fromPlainError,
  isBackupError,
  toPlainError,
  type Side,
} from '../../src/core/errors.ts';

function failure(code: string, extra: object = {}): Error {
  return Object.assign(new Error(`made-up ${code}`), { code, ...extra });
}

describe('errors', () => {
  it('takes nothing for ours that only looks like it', () => {
    const impostors = [
      undefined,
      'source-busy',
      { name: 'BackupError', code: 'source-busy', message: 'x' },
      failure('source-busy'),
      Object.assign(new Error('x'), { name: 'BackupError', code: 'no-such-code' }),
    ];
    assert.deepEqual(impostors.filter(isBackupError), []);
  });

  it('knows one of ours by name and code, whatever class it is of', () => {
    assert.ok(isBackupError(new BackupError('deadline', 'x')));
    assert.ok(
      isBackupError(Object.assign(new Error('x'), { name: 'BackupError', code: 'access' })),
    );
  });

  it('survive the way through JSON with all their facts, and the stack of the cause for the log', () => {
    const error = new BackupError('target-full', 'No room.', {
      path: '/b',
      hint: 'Make room.',
      facts: { neededBytes: 10, availableBytes: 1 },
      cause: new Error('ENOSPC'),
    });
    const wire = JSON.parse(JSON.stringify(toPlainError(error))) as ReturnType<typeof toPlainError>;
    assert.match(wire.detail ?? '', /ENOSPC[^]*errors\.test/);
    const back = fromPlainError(wire);
    assert.ok(isBackupError(back));
    const { code, message, path, hint, facts } = error;
    assert.deepEqual(
      [back.code, back.message, back.path, back.hint, back.facts],
      [code, message, path, hint, facts],
    );
    assert.match(String((back.cause as Error).message), /ENOSPC/);
  });

  it('leave out what there is not, instead of sending undefined', () => {
    assert.deepEqual(Object.keys(toPlainError(new BackupError('deadline', 'x'))), [
      'code',
      'message',
    ]);
    assert.equal(fromPlainError({ code: 'deadline', message: 'x' }).cause, undefined);
  });

  it('call what nobody foresaw internal, and keep it for the log', () => {
    for (const thrown of [new TypeError('x is undefined'), 'a string', undefined]) {
      const plain = toPlainError(thrown);
      assert.equal(plain.code, 'internal');
      assert.match(plain.message, /^Internal error/);
    }
    assert.match(toPlainError(new TypeError('x is undefined')).detail ?? '', /TypeError/);
  });

  const meanings: [code: string, source: string, target: string][] = [
    ['SQLITE_BUSY', 'source-busy', 'source-busy'],
    ['SQLITE_BUSY_SNAPSHOT', 'source-busy', 'source-busy'],
    ['SQLITE_BUSY_RECOVERY', 'source-busy', 'source-busy'],
    ['SQLITE_LOCKED', 'source-busy', 'source-busy'],
    ['SQLITE_READONLY_ROLLBACK', 'hot-journal', 'hot-journal'],
    ['SQLITE_READONLY_CANTINIT', 'read-only-media', 'read-only-media'],
    ['SQLITE_READONLY_DIRECTORY', 'read-only-media', 'read-only-media'],
    ['SQLITE_NOTADB', 'encrypted-or-not-sqlite', 'encrypted-or-not-sqlite'],
    ['SQLITE_CORRUPT', 'corrupt', 'corrupt'],
    ['SQLITE_CORRUPT_INDEX', 'corrupt', 'corrupt'],
    ['SQLITE_FULL', 'source-fs-full', 'target-full'],
    ['SQLITE_CANTOPEN', 'access', 'access'],
    ['SQLITE_PERM', 'access', 'access'],
    ['SQLITE_TOOBIG', 'too-large', 'too-large'],
    ['SQLITE_IOERR_READ', 'io-error', 'io-error'],
    ['ENOENT', 'source-missing', 'access'],
    ['ENOTDIR', 'source-missing', 'access'],
    ['EACCES', 'access', 'access'],
    ['EPERM', 'access', 'access'],
    ['EROFS', 'access', 'access'],
    ['ENOSPC', 'source-fs-full', 'target-full'],
    ['EDQUOT', 'source-fs-full', 'target-full'],
    ['EFBIG', 'target-full', 'target-full'],
    ['EEXIST', 'name-taken', 'name-taken'],
    ['ENAMETOOLONG', 'bad-name', 'bad-name'],
  ];
  for (const [code, source, target] of meanings) {
    it(`explain ${code} as ${source} of the database, ${target} of the backups folder`, () => {
      for (const [side, expected] of [
        ['source', source],
        ['target', target],
      ] as [Side, string][]) {
        const cause = failure(code);
        const error = explain(cause, side, '/data/app.db');
        assert.equal(error.code, expected);
        assert.ok(error.message.startsWith('/data/app.db'), error.message);
        assert.equal(error.path, '/data/app.db');
        assert.ok(error.hint, 'says what to do next');
        assert.equal(error.facts?.['reason'], code);
        assert.equal(error.cause, cause);
      }
    });
  }

  it('explain any other failed system call as an I/O error, and any other exception as internal', () => {
    assert.equal(explain(failure('EIO', { syscall: 'write' }), 'target', '/b').code, 'io-error');
    assert.equal(explain(failure('ERR_INVALID_ARG_TYPE'), 'target', '/b').code, 'internal');
    assert.equal(explain(new RangeError('x'), 'source', '/b').code, 'internal');
    assert.equal(explain('x', 'source', '/b').code, 'internal');
  });

  it('do not explain again what already is explained', () => {
    const error = new BackupError('deadline', 'x');
    assert.equal(explain(error, 'source', '/data/app.db'), error);
  });
});
