"""Settings: where they come from, and that everything wrong about them is said at once."""

import pytest

from lighterage.settings import Settings, SettingsError, load_settings, names_of, settings_table


def load(tmp_path, env_file: str | None = None, **environ: str) -> Settings:
    path = tmp_path / ".env"
    if env_file is not None:
        path.write_text(env_file)
    return load_settings(environ, env_file=path)


def problems(tmp_path, env_file: str | None = None, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, env_file, **environ)
    return str(caught.value).splitlines()


def test_nothing_needs_to_be_set(tmp_path):
    """Every setting has a default that works on one's own machine."""
    assert Settings() == load(tmp_path)
    assert load(tmp_path).host == "127.0.0.1"


def test_every_bad_value_is_said_at_once(tmp_path):
    """With its name, what it is and what would be right; an unknown name is a typing mistake."""
    found = problems(
        tmp_path,
        LIGHTERAGE_PORT="80a",
        LIGHTERAGE_FSYNC="maybe",
        LIGHTERAGE_LOG_LEVEL="loud",
        LIGHTERAGE_PUBLIC_URL="example.org",
        LIGHTERAGE_ADMIN_EMAIL="nobody",
        LIGHTERAGE_MONGO_URL="http://x",
        LIGHTERAGE_FILE_SIZE_MAX="0",
        LIGHTERAGE_FSYNK="0",
    )
    names = ["FSYNK", "PORT", "PUBLIC_URL", "ADMIN_EMAIL", "LOG_LEVEL", "MONGO_URL", "FILE_SIZE_MAX", "FSYNC"]

    assert [f"LIGHTERAGE_{name}" for name in names] == [line.split(":")[0].split(" ")[0] for line in found]
    assert "'80a'" in found[1]


def test_secrets_are_not_said(tmp_path):
    """A log is read by many."""
    found = problems(tmp_path, LIGHTERAGE_MONGO_URL="http://root:hunter2@db", LIGHTERAGE_PORT="-1")

    assert len(found) == 2
    assert "hunter2" not in "".join(found)
    assert "hunter2" not in repr(load(tmp_path, LIGHTERAGE_ADMIN_PASSWORD="hunter2"))


def test_empty_value_counts_as_not_set(tmp_path):
    """`LIGHTERAGE_PORT=` in a compose file is no port."""
    assert Settings() == load(tmp_path, LIGHTERAGE_PORT="", LIGHTERAGE_S3_BUCKET="", LIGHTERAGE_UNKNOWN="")


ALIASES = {
    "DEBUG": ("debug", "1", True),
    "AWS_STORAGE_BUCKET_NAME": ("s3_bucket", "b", "b"),
    "AWS_S3_REGION_NAME": ("s3_region", "eu-west-1", "eu-west-1"),
    "AWS_DEFAULT_REGION": ("s3_region", "eu-west-1", "eu-west-1"),
    "AWS_ENDPOINT_URL": ("s3_endpoint", "http://s3.test/", "http://s3.test"),
}


@pytest.mark.parametrize(("name", "expected"), ALIASES.items(), ids=ALIASES)
def test_usual_names_are_read_too(tmp_path, name, expected):
    """Row 003.16: what people have set already works."""
    field, text, value = expected

    assert value == getattr(load(tmp_path, **{name: text}), field)


def test_own_name_goes_before_usual_ones(tmp_path):
    """Who says LIGHTERAGE_ means us."""
    names = {"LIGHTERAGE_S3_REGION": "ours", "AWS_REGION": "theirs", "AWS_DEFAULT_REGION": "others"}

    assert load(tmp_path, **names).s3_region == "ours"
    assert names_of("s3_region") == ["LIGHTERAGE_S3_REGION", "AWS_S3_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"]


def test_environment_goes_before_the_file(tmp_path):
    """And the file before the default."""
    found = load(tmp_path, "LIGHTERAGE_PORT=1\nLIGHTERAGE_HOST=::1\n# a note\n", LIGHTERAGE_PORT="2")

    assert (found.port, found.host) == (2, "::1")


def test_file_is_held_to_the_same(tmp_path):
    """A bad line in it is as bad."""
    assert problems(tmp_path, "LIGHTERAGE_PROT=1\n")[0].startswith("LIGHTERAGE_PROT: there is no such setting")
    assert problems(tmp_path, "LIGHTERAGE_S3_ENDPOINT=http://s3.test\n")[0].startswith("LIGHTERAGE_S3_ENDPOINT")


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"DEBUG": "1", "LIGHTERAGE_HOST": "0.0.0.0"}, "DEBUG"),
        ({"AWS_ACCESS_KEY_ID": "a"}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "a"}, "AWS_ACCESS_KEY_ID"),
        ({"LIGHTERAGE_S3_ENDPOINT": "http://s3.test"}, "LIGHTERAGE_S3_BUCKET"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, environ, word):
    """Each is fine alone."""
    (found,) = problems(tmp_path, **environ)

    assert word in found


def test_debug_on_a_public_address_can_be_forced(tmp_path):
    """Whoever says it twice means it."""
    assert load(tmp_path, DEBUG="1", LIGHTERAGE_HOST="0.0.0.0", LIGHTERAGE_DEBUG_FORCE="1").debug


def test_names_of_tests_and_commands_are_nobody_elses_fault(tmp_path):
    """They are read elsewhere, by the clients."""
    assert Settings() == load(tmp_path, LIGHTERAGE_URL="http://x", LIGHTERAGE_TOKEN="t", LIGHTERAGE_TEST_BIG="1")


def test_table_names_every_setting():
    """The reference page is made of it."""
    table = settings_table()

    assert all(f"`{names_of(field)[0]}`" in table for field in Settings.model_fields)
