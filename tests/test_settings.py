import base64
import subprocess
import sys
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from scripts.settings_page import PAGE, page
from standardwebhooks import Webhook

from jobreel.owner_key import KEY_FILE, with_owner_key
from jobreel.settings import Settings, WrongSettings, misspelt, variables


def test_without_any_variable_the_documented_defaults_are_in_effect() -> None:
    settings = Settings.from_environment({})

    assert settings.data_dir == Path("data").absolute()
    assert settings.max_queue_length == 0
    assert settings.slots >= 1
    assert settings.wait_seconds == 300
    assert settings.max_body == 4 * 1024 * 1024
    assert settings.cors_origins == ("*",)


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("MAX_QUEUE_LENGTH", "25", "max_queue_length", 25),
        ("JOBREEL_SLOTS", " 3 ", "slots", 3),
        ("JOBREEL_LEASE", "2.5", "lease_seconds", 2.5),
        ("JOBREEL_MAX_UPLOAD", "512MB", "max_upload", 512_000_000),
        ("JOBREEL_MAX_UPLOAD", "2GiB", "max_upload", 2 * 1024**3),
        ("JOBREEL_MAX_UPLOAD", "1.5 gib", "max_upload", 3 * 1024**3 // 2),
        ("JOBREEL_MAX_UPLOAD", "64m", "max_upload", 64 * 1024**2),
        ("JOBREEL_MAX_UPLOAD", "1000", "max_upload", 1000),
        ("JOBREEL_PUBLIC_URL", "https://jobs.example.com/reel/", "public_url", "https://jobs.example.com/reel"),
        (
            "JOBREEL_ALLOW_NETWORKS",
            "192.168.1.20, 172.18.0.0/16",
            "allow_networks",
            (ip_network("192.168.1.20/32"), ip_network("172.18.0.0/16")),
        ),
        ("JOBREEL_CORS_ORIGINS", "https://a.example,https://b.example:8443", "cors_origins",
         ("https://a.example", "https://b.example:8443")),
        ("JOBREEL_TRUSTED_PROXIES", "*", "trusted_proxies", ("*",)),
        ("JOBREEL_API_KEYS", "anna:k:1, bob-2:k2", "api_keys", {"anna": "k:1", "bob-2": "k2"}),
        ("JOBREEL_LOG", "JSON", "log_format", "json"),
    ],
)  # fmt: skip
def test_a_variable_sets_its_setting(variable: str, text: str, field: str, value: object) -> None:
    settings = Settings.from_environment({variable: text})

    assert getattr(settings, field) == value


@pytest.mark.parametrize(
    ("variable", "text", "right"),
    [
        ("MAX_QUEUE_LENGTH", "lots", "a whole number"),
        ("JOBREEL_SLOTS", "0", "at least 1"),
        ("JOBREEL_SLOTS", "2.5", "at least 1"),
        ("JOBREEL_WAIT", "-1", "seconds"),
        ("JOBREEL_WAIT", "nan", "seconds"),
        ("JOBREEL_LEASE", "0", "1 or more"),
        ("JOBREEL_MAX_BODY", "4 potatoes", "a size like"),
        ("JOBREEL_MEMORY", "1MB", "256MiB or more"),
        ("JOBREEL_PUBLIC_URL", "jobs.example.com", "an address like"),
        ("JOBREEL_PUBLIC_URL", "https://jobs.example.com/?a=1", "without a query"),
        ("JOBREEL_ALLOW_NETWORKS", "n8n", "addresses or networks"),
        ("JOBREEL_ALLOW_NETWORKS", "10.0.0.1/8", "has host bits set"),
        ("JOBREEL_CORS_ORIGINS", "*,https://a.example", "* or origins"),
        ("JOBREEL_CORS_ORIGINS", "https://a.example/app", "no path"),
        ("JOBREEL_TRUSTED_PROXIES", "proxy", "addresses or networks"),
        ("JOBREEL_LOG", "xml", "json or text"),
    ],
)
def test_a_wrong_value_is_refused_naming_the_variable_the_value_and_what_is_right(
    variable: str, text: str, right: str
) -> None:
    with pytest.raises(WrongSettings) as wrong:
        Settings.from_environment({variable: text})

    (sentence,) = wrong.value.problems
    assert sentence.startswith(f"{variable} must be ")
    assert right in sentence
    assert repr(text) in sentence


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(WrongSettings) as wrong:
        Settings.from_environment({"JOBREEL_SLOTS": "x", "JOBREEL_WAIT": "y", "MAX_QUEUE_LENGTH": "z"})

    assert [sentence.partition(" ")[0] for sentence in wrong.value.problems] == [
        "MAX_QUEUE_LENGTH",
        "JOBREEL_SLOTS",
        "JOBREEL_WAIT",
    ]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("API_KEY", "hush\x07hush"),
        ("JOBREEL_WEBHOOK_SECRET", "hushhush"),
        ("JOBREEL_WEBHOOK_SECRET", "whsec_hushhush!"),
        ("JOBREEL_API_KEYS", "Anna:hush"),
        ("JOBREEL_API_KEYS", "anna"),
        ("JOBREEL_API_KEYS", "anna:hush,anna:hushhush"),
    ],
)
def test_a_wrong_secret_is_refused_without_being_shown(variable: str, text: str) -> None:
    with pytest.raises(WrongSettings, match=variable) as wrong:
        Settings.from_environment({variable: text})

    assert "hush" not in str(wrong.value)


@pytest.mark.parametrize(
    "environ",
    [
        {"JOBREEL_API_KEYS": "owner:a"},
        {"JOBREEL_API_KEYS": "anna:a,bob:a"},
        {"JOBREEL_API_KEYS": "anna:a", "API_KEY": "a"},
    ],
)
def test_a_key_that_would_be_two_callers_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(WrongSettings, match="JOBREEL_API_KEYS"):
        Settings.from_environment(environ)


def test_an_empty_value_counts_as_none() -> None:
    assert Settings.from_environment({"API_KEY": "", "JOBREEL_SLOTS": " "}) == Settings.from_environment({})


def test_no_secret_is_in_the_repr_of_the_settings() -> None:
    settings = Settings.from_environment(
        {"API_KEY": "hush-1", "JOBREEL_API_KEYS": "anna:hush-2", "JOBREEL_WEBHOOK_SECRET": "hush-3" * 4}
    )

    assert "hush" not in repr(settings)


def test_the_data_directory_may_be_named_as_in_the_reference_and_ours_comes_first(tmp_path: Path) -> None:
    theirs = {"LOCAL_STORAGE_PATH": str(tmp_path / "theirs")}

    assert Settings.from_environment(theirs).data_dir == tmp_path / "theirs"
    assert Settings.from_environment({**theirs, "JOBREEL_DATA_DIR": str(tmp_path)}).data_dir == tmp_path


def test_a_folder_that_everybody_shares_gets_one_of_ours_inside(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)

    assert Settings.from_environment({"JOBREEL_DATA_DIR": str(tmp_path)}).data_dir == tmp_path / "jobreel"


@pytest.mark.parametrize(
    ("host", "link"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80")],
)
def test_links_begin_with_the_address_it_listens_on_unless_one_is_set(host: str, link: str) -> None:
    assert Settings().public_url_at(host, 80) == link
    assert Settings(public_url="https://a.example").public_url_at(host, 80) == "https://a.example"


@pytest.mark.parametrize(
    ("secret", "receivers"),
    [
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        ("any text of sixteen", "whsec_" + base64.b64encode(b"any text of sixteen").decode()),
    ],
)
def test_a_receivers_library_verifies_what_the_webhook_key_signs(secret: str, receivers: str) -> None:
    key = Settings.from_environment({"JOBREEL_WEBHOOK_SECRET": secret}).webhook_key
    now = datetime.now(tz=UTC).replace(microsecond=0)

    assert key
    signature = Webhook(key).sign("msg_1", now, "{}")

    headers = {"webhook-id": "msg_1", "webhook-timestamp": f"{now.timestamp():.0f}", "webhook-signature": signature}
    assert Webhook(receivers).verify("{}", headers) == {}


def test_a_misspelt_variable_is_told_and_a_foreign_one_is_not() -> None:
    kubernetes = {"JOBREEL_PORT": "tcp://10.0.0.1:80", "JOBREEL_SERVICE_HOST": "10.0.0.1"}

    assert misspelt({"JOBREEL_SLOT": "2", "PATH": "", **kubernetes}) == [
        "JOBREEL_SLOT is not a setting; did you mean JOBREEL_SLOTS?"
    ]


def test_the_settings_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_every_variable_that_the_readme_names_exists() -> None:
    readme = (PAGE.parent.parent / "README.md").read_text()
    known = {name for _, variable in variables() for name in variable.names}

    named = {word.strip("`|=.,:;()").partition("=")[0] for word in readme.split() if "JOBREEL_" in word}

    assert {name for name in named if name.startswith("JOBREEL_")} <= known


# -- the owner's key --------------------------------------------------------------------------------------


def test_a_first_start_without_a_key_makes_one_that_only_its_user_can_read(tmp_path: Path) -> None:
    settings, made = with_owner_key(Settings(data_dir=tmp_path / "data"))

    assert made
    assert settings.api_key is not None
    assert len(settings.api_key) >= 32
    assert (tmp_path / "data" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "data").iterdir()] == [KEY_FILE]


def test_the_next_start_uses_the_same_key(tmp_path: Path) -> None:
    first, _ = with_owner_key(Settings(data_dir=tmp_path))

    second, made = with_owner_key(Settings(data_dir=tmp_path))

    assert not made
    assert second.api_key == first.api_key


def test_a_key_that_is_set_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    settings, made = with_owner_key(Settings.from_environment({"API_KEY": "k", "JOBREEL_DATA_DIR": str(tmp_path)}))

    assert (settings.api_key, made) == ("k", False)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_key_file_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).touch()

    with pytest.raises(OSError, match="is empty"):
        with_owner_key(Settings(data_dir=tmp_path))


def test_two_services_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    start = (
        "import sys; from pathlib import Path; from jobreel.settings import Settings;"
        "from jobreel.owner_key import with_owner_key; print('ready', flush=True); sys.stdin.readline();"
        "print(with_owner_key(Settings(data_dir=Path(sys.argv[1])))[0].api_key)"
    )
    services = [
        subprocess.Popen(
            [sys.executable, "-c", start, tmp_path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        for _ in range(4)
    ]  # fmt: skip
    for service in services:
        assert service.stdout is not None
        assert service.stdout.readline() == "ready\n"
    for service in services:
        assert service.stdin is not None
        service.stdin.write("go\n")

    keys = {service.communicate()[0].strip() for service in services}

    assert len(keys) == 1
    assert len(keys.pop()) >= 32
