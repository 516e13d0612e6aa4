@echo off
rem Hands one event of a coding agent to SQLite Backup, on stdin and stdout. It prints one JSON object and exits with 0.
setlocal
set "node=" & set "when=ask"
set "told=%LOCALAPPDATA%\sqlite-backup\runtime\agents"
if exist "%told%" (
  < "%told%" (
    set /p node=
    set /p when=
  )
)
if not defined node set "node=node"
set ELECTRON_RUN_AS_NODE=1
set "answer={}"
for /f "usebackq delims=" %%a in (`""%node%" "%~dp0..\..\dist\cli.js" hook --when-not-saved %when%" 2^>nul`) do set "answer=%%a"
setlocal enabledelayedexpansion
echo(!answer!
exit /b 0
