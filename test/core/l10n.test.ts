import assert from 'node:assert/strict';
import { bundlePath, englishOf, languages, problemsOf, readTexts } from '../support/l10n.ts';

describe('the translations', () => {
  it('start from the sentences that the source has', async () => {
    const english = await englishOf();
    assert.deepEqual(Object.keys(readTexts(bundlePath)), english, 'stale: run npm run l10n');
  });

  for (const language of languages) {
    it(`are complete, with the same placeholders, in ${language}`, () => {
      for (const name of ['l10n/bundle.l10n', 'package.nls']) {
        const texts = readTexts(`${name}.${language}.json`);
        assert.deepEqual(problemsOf(readTexts(`${name}.json`), texts), [], name);
      }
    });
  }

  it('are not taken for good when a placeholder, a setting or a text is missing', () => {
    const english = { a: 'Copied {0} to {1}.', b: 'See `#sqliteBackup.method#`.', c: 'Now' };
    const problems = problemsOf(english, { a: 'Kopiert: {0}.', b: 'Siehe dort.', d: 'alt' });
    assert.deepEqual(
      problems.map((line) => line.split(':')[0]),
      ['missing', 'stale', 'other placeholders', 'other placeholders'],
    );
  });
});
