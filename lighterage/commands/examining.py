"""The command that looks at a server from outside."""

import json
from typing import Annotated

import typer

from lighterage.commands.shell import FAILURE_EXIT, AsJson, fail


def doctor(
    url: Annotated[str, typer.Argument(help="The server as clients reach it, as https://files.example.org.")],
    token: Annotated[
        str | None, typer.Option("--token", envvar="LIGHTERAGE_TOKEN", help="For the checks of events and ranges.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option("--proxy", help="Tell fixes for this one only: nginx, Caddy, Traefik or ALB.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find out what a proxy in front of a server breaks, and how to put it right. Exit code 1: something is broken."""
    from lighterage.doctor import PROXIES, State, Unreachable, examine

    known = {name.lower(): name for name in PROXIES}
    if proxy is not None and proxy.lower() not in known:
        fail(f"fixes are known for {', '.join(PROXIES)}")
    wanted = PROXIES if proxy is None else (known[proxy.lower()],)
    try:
        findings = examine(url, token)
    except Unreachable as error:
        fail(str(error))
    if as_json:
        facts = [
            {
                "check": one.check,
                "state": one.state.value,
                "said": one.said,
                "fixes": {name: fix for name, fix in one.fixes.items() if name in wanted},
            }
            for one in findings
        ]
        print(json.dumps({"url": url, "findings": facts}))
    else:
        for one in findings:
            print(f"{one.state.value:8}{one.check:12}{one.said}")
            for name, fix in one.fixes.items():
                if name in wanted:
                    print(f"{'':20}{name}: {fix}")
    if any(one.state is State.BAD for one in findings):
        raise typer.Exit(FAILURE_EXIT)
