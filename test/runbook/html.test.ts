import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { runbookHtml } from '../../src/runbook/html.ts';
import { inertText } from '../../src/runbook/page/inertText.ts';
import themeColours from '../fixtures/themeColours.json' with { type: 'json' };

const sources = {
  cspSource: 'https://*.vscode-cdn.net',
  script: 'https://host/dist/runbook.js',
  style: 'https://host/media/runbook.css',
  language: 'en',
  title: 'Restore app.db',
};

describe('the HTML of the runbook page', () => {
  it('lets in one script by its nonce, one source of styles, and nothing else', () => {
    const html = runbookHtml(sources);
    const policy = decode(/Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? '');
    const nonce = /<script nonce="([^"]+)"/.exec(html)?.[1] ?? '';
    assert.ok(Buffer.from(nonce, 'base64').length >= 16);
    assert.deepEqual(policy.split('; ').sort(), [
      "base-uri 'none'",
      "default-src 'none'",
      "form-action 'none'",
      `script-src 'nonce-${nonce}'`,
      'style-src https://*.vscode-cdn.net',
    ]);
    assert.doesNotMatch(html, /unsafe|style=|\son\w+=/);
    assert.equal(html.match(/<script/g)?.length, 1);
    assert.ok(html.indexOf('Content-Security-Policy') < html.indexOf('<link'));
  });

  it('has another nonce every time', () => {
    const nonces = Array.from(
      { length: 20 },
      () => /nonce="([^"]+)"/.exec(runbookHtml(sources))?.[1],
    );
    assert.equal(new Set(nonces).size, 20);
  });

  it('takes a name for text, wherever it stands', () => {
    const name = `"><script>alert(1)</script>'`;
    const html = runbookHtml({ ...sources, title: name, language: name, style: name });
    assert.equal(html.match(/<script/g)?.length, 1);
    assert.equal(decode(/<title>(.*)<\/title>/.exec(html)?.[1] ?? ''), name);
  });
});

describe('the style sheet of the runbook page', () => {
  const css = readFileSync(resolve(import.meta.dirname, '../../media/runbook.css'), 'utf8').replace(
    /\/\*.*?\*\//gs,
    '',
  );

  it('has no colour and no font of its own', () => {
    assert.doesNotMatch(css, /#[0-9a-f]{3,8}\b|\b(rgba?|hsla?|hwb|lab|lch|oklab|oklch|color)\(/i);
    const colours = css.matchAll(
      /(?:^|[\s;{])(?:color|background|fill|stroke|outline-color)\s*:\s*([^;]+);/g,
    );
    for (const [, value = ''] of colours) {
      assert.match(value.trim(), /^(var\(|none$|inherit$|currentColor$|linear-gradient)/, value);
    }
    for (const [, value = ''] of css.matchAll(/font-family\s*:\s*([^;]+);/g)) {
      assert.match(value, /^var\(/);
    }
    assert.doesNotMatch(css, /url\(|@import/);
  });

  it('uses no variable that the pictures of the themes do not have', () => {
    const known = Object.keys(themeColours.dark.variables);
    const used = [...css.matchAll(/--vscode-[\w-]+/g)].map(([name]) => name);
    assert.deepEqual(
      [...new Set(used)].filter((name) => !known.includes(name)),
      [],
    );
  });
});

describe('inert text', () => {
  it('shows control and direction characters as what they are: no letters', () => {
    assert.equal(
      inertText('a\u202egpj.bd\u2066\u0000\u001b[31m\r'),
      'a\ufffdgpj.bd\ufffd\ufffd\ufffd[31m\ufffd',
    );
  });

  it('leaves words, lines and scripts from right to left alone', () => {
    const text = 'Größe\n\t数据 שלום العربية <b>';
    assert.equal(inertText(text), text);
  });
});

function decode(html: string): string {
  return html.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}
