/** VS Code's own line in the terminal of a task, as ` *  Executing task: npm test `, in whatever language. */
const pattern = /^\s*\* {2}\S/;

/** The terminal of a task tells of it as of a command (VS Code 1.106 and newer); the task itself has its name. */
export function isLineOfTask(commandLine: string): boolean {
  return pattern.test(commandLine);
}
