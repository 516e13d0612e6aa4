/**
 * The tools that agents get, by the editor or by MCP: what they are called, what they say of themselves, and what they take.
 * None restores, deletes, thins out or exports. `package.json` has the same for the editor, and a test compares them.
 */

export const toolNames = [
  'sqlite-backup_list_databases',
  'sqlite-backup_list_backups',
  'sqlite-backup_create_checkpoint',
  'sqlite-backup_compare',
  'sqlite-backup_verify',
  'sqlite-backup_plan_restore',
] as const;
export type ToolName = (typeof toolNames)[number];

type Schema = Record<string, string | number | Record<string, string>>;

export interface ToolTexts {
  title: string;
  description: string;
  inputSchema: {
    type: 'object';
    properties: Record<string, Schema>;
    required: string[];
  };
  /** It changes nothing at all, so clients need not ask. */
  readOnly: boolean;
}

const text = (description: string): { type: string; description: string } => ({
  type: 'string',
  description,
});
const path = 'Absolute path of a SQLite database in the workspace.';
const backup = 'Id of a checkpoint or backup, as list_backups gives it.';

export const tools: Readonly<Record<ToolName, ToolTexts>> = {
  'sqlite-backup_list_databases': {
    title: 'List SQLite databases',
    description:
      'Lists the SQLite databases of the workspace with their sizes. Use it to find out which files are databases. Do not use it to read their content.',
    inputSchema: { type: 'object', properties: {}, required: [] },
    readOnly: true,
  },
  'sqlite-backup_list_backups': {
    title: 'List backups of a SQLite database',
    description:
      'Lists checkpoints and backups of one database, the newest first, with the ids that the other tools take. Use it when data seems to be gone. Do not use it to look for files to copy: a restore is the job of the person.',
    inputSchema: {
      type: 'object',
      properties: {
        database_path: text(path),
        limit: {
          type: 'integer',
          minimum: 1,
          maximum: 20,
          description: 'How many; 10 by default.',
        },
      },
      required: ['database_path'],
    },
    readOnly: true,
  },
  'sqlite-backup_create_checkpoint': {
    title: 'Save SQLite databases',
    description:
      'Saves the current state of databases as checkpoints outside the workspace. Use it before migrations, seeds, bulk changes and scripts that write. Do not use it after each small step: what is unchanged is not saved again, and a database is saved once in 5 seconds at most.',
    inputSchema: {
      type: 'object',
      properties: {
        database_paths: {
          type: 'array',
          items: text(path),
          minItems: 1,
          maxItems: 20,
          description: 'Databases to save at the same moment.',
        },
        reason: text('What comes next, for the person who reads the list.'),
      },
      required: ['database_paths', 'reason'],
    },
    readOnly: false,
  },
  'sqlite-backup_compare': {
    title: 'Compare SQLite databases',
    description:
      'Tells how many rows of each table two states do not share: backups by id, or databases by path. Use it to see what a step has changed. It shows no values: do not use it to read data.',
    inputSchema: {
      type: 'object',
      properties: {
        left: text('Id of a backup, or absolute path of a database in the workspace.'),
        right: text('Id of a backup, or absolute path of a database in the workspace.'),
        table: text('Only this table.'),
      },
      required: ['left', 'right'],
    },
    readOnly: true,
  },
  'sqlite-backup_verify': {
    title: 'Check a backup',
    description:
      'Checks whether a backup is whole, and notes the result beside it. Use it before you rely on a backup. Do not use it on live databases.',
    inputSchema: {
      type: 'object',
      properties: { backup_id: text(backup) },
      required: ['backup_id'],
    },
    readOnly: false,
  },
  'sqlite-backup_plan_restore': {
    title: 'Plan a restore',
    description:
      'Tells what a restore of a backup would bring back and lose, and gives a link with which the person opens it. It restores nothing. Use it when data is gone, then show the person the answer. Do not restore by other means.',
    inputSchema: {
      type: 'object',
      properties: { backup_id: text(backup) },
      required: ['backup_id'],
    },
    readOnly: true,
  },
};
