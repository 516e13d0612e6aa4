import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isLoopback, requestHealth } from '../../src/runbook/health.ts';

describe('asking an application how it is', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const serve = async (answer: RequestListener): Promise<string> => {
    const server = createServer(answer).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`;
  };

  it('tells this machine from others', () => {
    for (const url of [
      'http://localhost:1/',
      'http://127.1/x',
      'http://[::1]/',
      'http://a.localhost',
    ])
      assert.ok(isLoopback(url), url);
    for (const url of [
      ...['http://localhost.evil.example/', 'http://127.0.0.1.evil.example/', 'http://0.0.0.0/'],
      ...['http://localhost@evil.example/', 'file:///etc/passwd', 'text', ''],
    ])
      assert.ok(!isLoopback(url), url);
  });

  it('gives status and answer in one line that does not act', async () => {
    const url = await serve((_, response) => response.end('{"ok":\n true}\u202e\u0007'));
    assert.deepEqual(await requestHealth(url), {
      ok: true,
      text: `${url}: 200 {"ok": true}\ufffd\ufffd`,
    });
  });

  it('follows nobody elsewhere', async () => {
    let asked = 0;
    const other = await serve((_, response) => response.end(String(++asked)));
    const url = await serve((_, response) => response.writeHead(302, { location: other }).end());
    const { ok, text } = await requestHealth(url);
    assert.equal(ok, false);
    assert.match(text, /: 302$/);
    assert.equal(asked, 0);
  });

  it('does not wait for an answer that never comes', async () => {
    const { ok, text } = await requestHealth(await serve(() => undefined), 200);
    assert.equal(ok, false);
    assert.match(text, /timeout/i);
  });

  it('reads only the beginning of one that never ends', async () => {
    let sent = 0;
    const url = await serve((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536))) sent += 65_536;
      };
      response.on('drain', more);
      more();
    });
    const startedAt = performance.now();
    const { ok, text } = await requestHealth(url);
    assert.equal(ok, true);
    assert.ok(text.length < 300, String(text.length));
    assert.ok(performance.now() - startedAt < 3000);
    assert.ok(sent < 20_000_000, String(sent));
  });

  it('shows what came of one that stops in the middle', async () => {
    const url = await serve((_, response) => void response.write('starting'));
    assert.deepEqual(await requestHealth(url, 300), { ok: true, text: `${url}: 200 starting` });
  });

  it('asks nothing but http', async () => {
    for (const url of ['data:text/plain,ok', 'file:///etc/passwd', 'no address'])
      assert.equal((await requestHealth(url)).ok, false, url);
  });
});
