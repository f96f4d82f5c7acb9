"""The documents keep up with the code: every flag, every reason, every setting, every file that they name."""

import re
from pathlib import Path

import pytest

from agent import failures as agent_failures
from agent.commandline.flags import Flag
from agent.failures import Failure as AgentFailure
from agent.settings.load import BACKEND_GROUPS, FLAGS, PROCESS_GROUPS, load_settings
from wire import protocol

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)

SOURCES = [*ROOT.glob("*/*.py"), *ROOT.glob("standalone/**/*.py")]
_REASON = re.compile(
    r'\b(?:reason|failure|CLIENT_GONE|SLOW_READER|EMPTY_ANSWER|AGENT_ERROR)(?:: Final)? ?= ?"([a-z-]+)"'
)


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def reasons() -> set[str]:
    """Every value that `X-Inverting-Proxy-Error` may have, and the log's `reason=`."""
    written = {reason for path in SOURCES for reason in _REASON.findall(path.read_text("utf-8"))}
    return written | {value.reason for value in vars(agent_failures).values() if isinstance(value, AgentFailure)}


def documented_flags() -> dict[str, tuple[str, str, str, str]]:
    """By the flag's name what the tables of docs/agent.md say: the group, its variables, its default, what it means."""
    rows, group = {}, ""
    for line in text_of("docs/agent.md").splitlines():
        group = line.removeprefix("### ") if line.startswith("### ") else group
        if found := re.fullmatch(r"\| `--([a-z0-9-]+)` \| (.+?) \| (.*?) ?\| (.+) \|", line):
            assert found[1] not in rows
            rows[found[1]] = (group, found[2], found[3].strip(), found[4])
    return rows


def test_the_tables_have_every_flag_of_the_agent_in_the_order_and_the_groups_of_its_help() -> None:
    groups = {**BACKEND_GROUPS, **PROCESS_GROUPS}
    assert [(group, name) for name, (group, *_) in documented_flags().items()] == [
        (group, flag.name) for group, flags in groups.items() for flag in flags
    ]


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_of_the_agent_is_documented_with_its_variable_and_its_default(flag: Flag) -> None:
    _, variables, default, _ = documented_flags()[flag.name]
    assert variables == " and ".join(f"`{name}`" for name in flag.environment_name.split(":"))
    assert default == ("required" if flag.is_required else f"`{flag.default}`" if flag.default else "")


def test_the_file_in_the_documents_is_one_that_the_agent_takes(tmp_path: Path) -> None:
    found = re.search(r"^```toml\n(.+?)^```", text_of("docs/agent.md"), re.MULTILINE | re.DOTALL)
    assert found
    (tmp_path / "agents.toml").write_text(found[1], "utf-8")
    settings = load_settings([f"--config={tmp_path / 'agents.toml'}"], {})
    assert [agent.proxy.backend for agent in settings.agents] == ["notebook", "site"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_line_of_the_agent_has_flags_that_there_are(document: Path) -> None:
    lines = document.read_text("utf-8").replace("\\\n", " ").splitlines()
    given = {flag for line in lines if "python -m agent " in line for flag in re.findall(r" --([a-z0-9-]+)", line)}
    assert given - {flag.name for flag in FLAGS} == set()


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_every_reason_is_in_the_troubleshooting_guide(reason: str) -> None:
    assert f"`{reason}`" in text_of("docs/troubleshooting.md")


def test_every_header_of_the_protocol_is_documented() -> None:
    names = {value for value in vars(protocol).values() if isinstance(value, str) and value.startswith("X-Inverting-")}
    assert {name for name in names if f"`{name}`" not in text_of("docs/protocol.md")} == set()


def test_every_package_is_in_the_picture_of_the_architecture() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    documented = text_of("docs/architecture.md")
    assert {name for name in packages if f"`{name}/`" not in documented} == set()


def test_every_setting_of_the_services_is_documented() -> None:
    source = text_of("edge/settings.py") + "".join(
        path.read_text("utf-8") for path in ROOT.glob("*_service/settings.py")
    )
    names = set(re.findall(r'environ(?:\.get\(|, )"([A-Z][A-Z_]+)"', source)) - {"GAE_ENV"}
    assert "IDENTITY" in names
    assert {name for name in names if f"`{name}`" not in text_of("docs/deploy.md")} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def anchors_of(document: Path) -> set[str]:
    """What a link may name behind `#`: its headings, as GitHub spells them."""
    prose = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text("utf-8"))
    missing = [
        (name, anchor)
        for name, anchor in links
        if anchor not in anchors_of(document.parent / name if name else document)
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_that_a_document_names_is_there(document: Path) -> None:
    packages = "wire|broker|stores|edge|proxy_service|agent_service|api_service|standalone|agent|demo|scripts"
    named = re.findall(rf"`((?:{packages}|tests|docs)/[\w./-]*)`", document.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
