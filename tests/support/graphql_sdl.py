"""Write the printed schema to its file: `python -m tests.support.graphql_sdl`, after a change that was meant."""

from pathlib import Path

from resolvers.root import build_schema, print_sdl

SDL_FILE = Path(__file__).parents[2] / "schema" / "schema.graphql"

if __name__ == "__main__":
    SDL_FILE.write_text(print_sdl(build_schema()))
