/** The tools over MCP, on stdin and stdout. A file of its own when bundled: the other verbs do not pay for the SDK. */
import { Readable } from 'node:stream';
import { Server } from '@modelcontextprotocol/server';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { type ToolName, toolNames, tools } from './toolList.ts';
import { AgentTools, type ToolHost } from './tools.ts';

/** A message with arguments of 10 MB ends the server of the SDK's default. */
const maxBufferSize = 32 * 1024 * 1024;
const scheme = 'sqlite-backup://backup/';

/** Settles when the client has gone. */
export async function serveMcp(host: ToolHost, version: string): Promise<void> {
  const agentTools = new AgentTools(host);
  const server = new Server(
    { name: 'sqlite-backup', title: 'SQLite Backup', version },
    {
      capabilities: { tools: {}, resources: {} },
      instructions:
        'Saves, compares and checks the SQLite databases of the workspace. It never restores or deletes: that is for the person.',
    },
  );
  server.setRequestHandler('tools/list', () => ({
    tools: toolNames.map((name) => {
      const { title, description, inputSchema, readOnly } = tools[name];
      const hints = { readOnlyHint: readOnly, destructiveHint: false, openWorldHint: false };
      return { name, title, description, inputSchema, annotations: { title, ...hints } };
    }),
  }));
  server.setRequestHandler('tools/call', async ({ params }) => {
    const name = toolNames.find((one) => one === params.name) satisfies ToolName | undefined;
    const { text, isError } =
      name === undefined
        ? { text: 'There is no such tool.', isError: true }
        : await agentTools.run(name, params.arguments);
    return { content: [{ type: 'text' as const, text }], isError };
  });
  // All are named by the tools; a list would grow with each checkpoint.
  server.setRequestHandler('resources/list', () => ({ resources: [] }));
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: [
      {
        name: 'backup',
        title: 'What is known of a backup',
        uriTemplate: `${scheme}{id}`,
        mimeType: 'application/json',
      },
    ],
  }));
  server.setRequestHandler('resources/read', async ({ params: { uri } }) => {
    const found = uri.startsWith(scheme)
      ? await agentTools.describe(uri.slice(scheme.length))
      : undefined;
    if (found === undefined) throw new Error('There is no such backup of this workspace.');
    return { contents: [{ uri, mimeType: 'application/json', text: found }] };
  });
  const gone = new Promise<void>((resolve) => {
    server.onclose = resolve;
    // The SDK notices neither the end of its input nor a reader that is gone.
    process.stdin
      .once('end', resolve)
      .once('close', resolve)
      .once('error', () => resolve());
    process.stdout.once('error', () => resolve());
  });
  const transport = new StdioServerTransport(Readable.from(wholeLines()), process.stdout, {
    maxBufferSize,
  });
  await server.connect(transport);
  await gone;
  await server.close();
}

/** The SDK looks through all that it has of a message with each piece of it: one of 10 MB would take it a minute. */
async function* wholeLines(): AsyncGenerator<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (!piece.includes('\n') && bytes <= maxBufferSize) continue;
    yield Buffer.concat(pieces.splice(0));
    bytes = 0;
  }
}
