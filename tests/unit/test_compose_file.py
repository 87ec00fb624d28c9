"""docker-compose.yml and Dockerfile, read: the same command lines as everywhere, pinned, and with no secret in them."""

import re

import pytest

from config.settings import Settings
from tests.compose import PROJECT, MissingVariableError, environment, read_compose
from worker.ops.commands import flower_command, node_health_command, redis_arguments, sandbox_command, worker_command

COMPOSE = read_compose()
SERVICES = COMPOSE["services"]


def test_the_services_are_the_ones_that_the_readme_names():
    assert ["flower", "redis", "sandbox", "worker-risk", "worker-routine"] == sorted(SERVICES)


@pytest.mark.parametrize(
    ("service", "command"),
    [
        ("redis", ["valkey-server", *redis_arguments()]),
        ("worker-risk", worker_command(["risk"], respawn=True)),
        ("worker-routine", worker_command(["routine"], respawn=True)),
        ("flower", flower_command(address="0.0.0.0")),  # noqa: S104 - inside a container
        ("sandbox", sandbox_command(host="0.0.0.0")),  # noqa: S104 - the same
    ],
)
def test_every_service_runs_the_command_line_that_the_local_stack_runs(service, command):
    assert command == SERVICES[service]["command"]


@pytest.mark.parametrize("lane", ["risk", "routine"])
def test_a_worker_is_asked_for_its_health_by_the_name_it_runs_under(lane):
    assert ["CMD", *node_health_command(f"{lane}@%h")] == SERVICES[f"worker-{lane}"]["healthcheck"]["test"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_pinned_restarts_reaps_and_has_time_to_stop(service):
    said = SERVICES[service]
    name, _, tag = said["image"].partition(":")
    assert name
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", tag)
    assert said["init"] is True
    assert "unless-stopped" == said["restart"]
    assert "stop_grace_period" in said
    assert {"test", "interval", "timeout", "retries"} <= said["healthcheck"].keys()


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"redis"}))
def test_our_containers_run_as_nobody_in_particular_on_a_file_system_that_cannot_be_written(service):
    assert "${NEO_CANCEL_USER:-10001}" == SERVICES[service]["user"]
    assert SERVICES[service]["read_only"] is True
    assert ["ALL"] == SERVICES[service]["cap_drop"]


@pytest.mark.parametrize("service", ["worker-risk", "worker-routine", "flower"])
def test_who_needs_redis_waits_until_it_is_healthy(service):
    assert "service_healthy" == SERVICES[service]["depends_on"]["redis"]["condition"]


@pytest.mark.parametrize("service", ["worker-risk", "worker-routine"])
def test_a_worker_can_be_scaled(service):
    assert not {"container_name", "ports", "hostname"} & SERVICES[service].keys()
    assert any("@%h" in part for part in SERVICES[service]["command"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_port_is_published_on_loopback_only(service):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


def test_flower_is_not_started_without_a_password():
    with pytest.raises(MissingVariableError, match="FLOWER_BASIC_AUTH"):
        environment(SERVICES["flower"], {})
    assert "FLOWER_UNAUTHENTICATED_API" not in SERVICES["flower"]["environment"]


def test_the_sandbox_is_started_only_when_asked_for():
    assert ["sandbox"] == SERVICES["sandbox"]["profiles"]
    assert not any("profiles" in SERVICES[name] for name in SERVICES.keys() - {"sandbox"})


@pytest.mark.parametrize("service", ["worker-risk", "worker-routine"])
def test_a_setting_that_nobody_sets_has_its_default_in_a_container_too(service, monkeypatch):
    """The number of threads among them: no command line sets it."""
    defaults, ours = Settings(), environment(SERVICES[service], {})
    for name in ours.keys() - {"NEO_CANCEL_REDIS_URL", "NEO_CANCEL_ACCOUNTS_FILE"}:
        monkeypatch.setenv(name, ours[name])
    assert defaults == Settings()
    assert "NEO_CANCEL_THREADS" in ours


def test_every_setting_in_the_file_is_a_setting():
    names = {name for service in SERVICES.values() for name in service.get("environment", {}) if name[:4] == "NEO_"}
    known = {f"NEO_CANCEL_{name.upper()}" for name in Settings.model_fields}
    assert set() == names - known


def test_the_image_is_pinned_and_does_not_run_as_root():
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    bases = {line.split()[1] for line in lines if line.startswith("FROM")}
    assert 1 == len(bases)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases.pop())
    assert "USER 10001" in lines


def test_one_release_of_uv_is_used_everywhere():
    made = re.search(r"^UV_VERSION = (\S+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    built = re.search(r"uv==(\S+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert made is not None
    assert built is not None
    assert made[1] == built[1]
