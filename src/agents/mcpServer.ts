/** The tools over MCP, on stdin and stdout. A file of its own when bundled: the other verbs do not pay for the SDK. */
import { Server } from '@modelcontextprotocol/server';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { type ToolName, toolNames, tools } from './toolList.ts';
import { AgentTools, type ToolHost } from './tools.ts';

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
  await server.connect(new StdioServerTransport());
  await gone;
  await server.close();
}
