import assert from 'node:assert/strict';
import { BackupError } from '../../src/core/errors.ts';
import { translateAnswer, translateError, translatorOf } from '../../src/core/sentences.ts';

const german = translatorOf({
  '{0} is damaged: {1}.': '{0} ist beschädigt: {1}.',
  'it is cut off: {0} of {1} bytes': 'sie endet nach {0} von {1} Bytes',
  'Try again.': 'Erneut versuchen.',
  '{0} is locked by {1}.': '{1} sperrt {0}.',
  '{0} is locked by another program.': 'Ein anderes Programm sperrt {0}.',
  '{0} and {1}': '{0} und {1}',
});

describe('the sentences of the core in another language', () => {
  it('are left as they are where there is no translation', () => {
    for (const text of ['', 'It rains.', 'a.db and b.db', 'x is damaged', '{0} is damaged: {1}'])
      assert.equal(german(text), text);
  });

  it('keep what comes from outside, whatever it looks like', () => {
    const evil = 'a $& $1 {0} {1} (.*) \n b.db';
    assert.equal(german(`${evil} is locked by node.`), `node sperrt ${evil}.`);
  });

  it('are made from the pattern that says most', () => {
    assert.equal(german('a.db is locked by another program.'), 'Ein anderes Programm sperrt a.db.');
    assert.equal(german('a.db is locked by node (7).'), 'node (7) sperrt a.db.');
  });

  it('are translated inside each other', () => {
    assert.equal(
      german('/x/a.db is damaged: it is cut off: 10 of 4096 bytes.'),
      '/x/a.db ist beschädigt: sie endet nach 10 von 4096 Bytes.',
    );
  });

  it('stay English where a translation has other placeholders', () => {
    const wrong = translatorOf({
      '{0} is damaged: {1}': 'beschädigt: {1}',
      'Copied {0} to the folder.': 'Kopiert: {0} {7}',
      'Try again in a moment.': 'Erneut {0} versuchen.',
      '{0} was moved to {1}.': 'Nach {1} kam {0}.',
    });
    for (const sentence of [
      '/x/a.db is damaged: cut off',
      'Copied a.db to the folder.',
      'Try again in a moment.',
    ])
      assert.equal(wrong(sentence), sentence);
    assert.equal(wrong('a.db was moved to b.'), 'Nach b kam a.db.', 'the order is free');
  });

  it('are found in answers and errors of the worker, where they are said and nowhere else', () => {
    const answer = {
      path: 'Try again.',
      rows: [['Try again.']],
      failures: [{ hint: 'Try again.' }],
    };
    assert.deepEqual(translateAnswer(answer, german), {
      path: 'Try again.',
      rows: [['Try again.']],
      failures: [{ hint: 'Erneut versuchen.' }],
    });
    const error = new BackupError('corrupt', 'a is damaged: b.', {
      ...{ path: 'a', hint: 'Try again.', facts: { reason: 'x' }, cause: new Error('why') },
    });
    const said = translateError(error, german) as BackupError;
    assert.equal(said.message, 'a ist beschädigt: b.');
    assert.equal(said.hint, 'Erneut versuchen.');
    assert.deepEqual([said.code, said.path, said.facts], ['corrupt', 'a', { reason: 'x' }]);
    assert.equal((said.cause as Error).message, 'why');
    assert.ok(translateError(new TypeError('x'), german) instanceof TypeError);
  });
});
