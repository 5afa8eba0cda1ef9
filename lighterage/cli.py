"""
The command line: every command by its name. What a command does stands with its group, in `lighterage/commands`.

Each command imports what it runs: one that only asks a server need not load the server.
"""

import typer

from lighterage.commands import examining, jobs, keeping, people, receipts, serving, transfers

app = typer.Typer(
    name="lighterage",
    help="Lighterage lands files of any size: resumable, verified, and queryable with SQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    serving.serve,
    jobs.worker,
    jobs.queue,
    people.user,
    people.seed,
    people.quota,
    people.processing,
    serving.migrate,
    serving.settings,
    keeping.backup,
    keeping.restore,
    keeping.gc,
    keeping.expire,
    transfers.token,
    transfers.upload,
    transfers.download,
    transfers.export,
    transfers.query,
    receipts.verify,
    examining.doctor,
    serving.version,
):
    app.command()(command)
app.command("import")(transfers.bring_back)  # the word is Python's own


def main() -> None:
    app()
