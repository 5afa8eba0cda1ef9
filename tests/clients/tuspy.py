"""Uploads a file by tuspy, through whatever happens meanwhile: `python tests/clients/tuspy.py ENDPOINT TOKEN FILE`."""

import sys
from pathlib import Path

from tusclient.client import TusClient


def main(endpoint: str, token: str, file: str) -> None:
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    uploader = client.uploader(
        file, chunk_size=40 * 2**20, metadata={"filename": Path(file).name}, retries=100, retry_delay=0.2
    )
    uploader.upload()
    print(uploader.url)


if __name__ == "__main__":
    main(*sys.argv[1:])
