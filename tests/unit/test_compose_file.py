"""docker-compose.yml and Dockerfile, read: the same command lines as everywhere, pinned, and with no secret in them."""

import re
import subprocess

import pytest

from config.settings import Settings
from tests.compose import PROJECT, arguments, environment, read_compose, resolved
from worker.ops.commands import flower_command, node_health_command, redis_arguments, sandbox_command, worker_command

COMPOSE = read_compose()
SERVICES = COMPOSE["services"]
OURS = {"NEO_CANCEL_REDIS_URL", "NEO_CANCEL_ACCOUNTS_FILE", "NEO_CANCEL_ACCOUNTS_TOML"}
"""What a container has an address or a path of its own for."""


def test_the_services_are_the_ones_that_the_readme_names():
    assert ["flower", "redis", "sandbox", "worker-risk", "worker-routine"] == sorted(SERVICES)


@pytest.mark.parametrize(
    ("service", "command"),
    [
        ("redis", ["valkey-server", *redis_arguments(), "--maxmemory", "1gb"]),
        ("worker-risk", worker_command(["risk"], respawn=True)),
        ("worker-routine", worker_command(["routine"], respawn=True)),
        ("flower", flower_command(address="0.0.0.0")),  # noqa: S104 - inside a container
        ("sandbox", sandbox_command(host="0.0.0.0")),  # noqa: S104 - the same
    ],
)
def test_every_service_runs_the_command_line_that_the_local_stack_runs(service, command):
    assert command == [resolved(part, {}) for part in SERVICES[service]["command"]]


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


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_runs_as_nobody_in_particular_on_a_file_system_that_cannot_be_written(service):
    said = SERVICES[service]
    assert ("valkey" if service == "redis" else "${NEO_CANCEL_USER:-10001}") == said["user"]
    assert said["read_only"] is True
    assert ["ALL"] == said["cap_drop"]
    assert ["no-new-privileges:true"] == said["security_opt"]


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_takes_the_whole_machine(service):
    """Neither its memory nor its processors, its process table or its disk."""
    said = SERVICES[service]
    assert {"mem_limit", "cpus", "pids_limit"} <= said.keys()
    assert {"max-size", "max-file"} == said["logging"]["options"].keys()


def test_redis_may_use_twice_its_data_before_the_container_ends():
    """It needs that while it writes its append-only file anew. Beyond its own limit it refuses writes and drops nothing."""
    redis = SERVICES["redis"]
    assert "1gb" == arguments(redis, {})[-1]
    assert "2560m" == resolved(redis["mem_limit"], {})
    assert "noeviction" in redis["command"]


def test_more_threads_fit_into_a_worker_s_container_than_it_has():
    assert 2 * Settings().threads < SERVICES["worker-risk"]["pids_limit"]


def test_a_worker_that_is_unhealthy_is_replaced_before_docker_calls_it_so():
    """By its parent; Compose would leave it as it is. Docker says so after three bad checks."""
    for lane in ("risk", "routine"):
        said = SERVICES[f"worker-{lane}"]
        assert "--respawn" in said["command"]
        assert "30s" == said["healthcheck"]["interval"]
        assert 3 * 30 >= Settings().unhealthy


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


def started(service, env):
    """Run a container's entry point in front of `echo`: what it would have started, its exit code and its complaint."""
    entrypoint = [*arguments(SERVICES[service], {})[:3], "echo", "started"]
    inside = {"PATH": "/usr/bin:/bin", **environment(SERVICES[service], env)}
    done = subprocess.run(entrypoint, env=inside, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr


@pytest.mark.parametrize("given", ["", "desk", ":", "desk:", ":geheim"])
def test_flower_is_not_started_without_a_password(given):
    code, said, complaint = started("flower", {"FLOWER_BASIC_AUTH": given})
    assert (2, "", "set FLOWER_BASIC_AUTH to user:password\n") == (code, said, complaint)
    assert "FLOWER_UNAUTHENTICATED_API" not in SERVICES["flower"]["environment"]


@pytest.mark.parametrize("given", ["", "two words", "semi;colon", "at@home", "a$b", "line\nbreak", 'quo"te', "p/q"])
def test_redis_is_not_started_without_a_password_that_a_url_can_hold(given):
    code, said, complaint = started("redis", {"NEO_CANCEL_REDIS_PASSWORD": given})
    assert (2, "", "set NEO_CANCEL_REDIS_PASSWORD to letters, digits and -_.~\n") == (code, said, complaint)


@pytest.mark.parametrize(
    ("service", "env", "said"),
    [
        ("flower", {"FLOWER_BASIC_AUTH": "desk:geheim"}, "started"),
        ("redis", {"NEO_CANCEL_REDIS_PASSWORD": "Ab-9_.~"}, "- started"),
    ],
)
def test_with_a_password_both_are_started_and_no_argument_shows_it(service, env, said):
    assert (0, said, "") == started(service, env)


def test_no_command_of_compose_needs_a_variable():
    """Compose asks for a required one at every command: `exec`, `logs` and `down` would fail without Flower's password."""
    assert [] == re.findall(r"\$\{\w+:?\?", (PROJECT / "docker-compose.yml").read_text())


@pytest.mark.parametrize("service", ["worker-risk", "worker-routine", "flower"])
def test_what_needs_redis_has_its_password(service):
    env = environment(SERVICES[service], {"NEO_CANCEL_REDIS_PASSWORD": "geheim"})
    assert "redis://:geheim@redis:6379/0" == env["NEO_CANCEL_REDIS_URL"]


@pytest.mark.parametrize("service", ["worker-risk", "worker-routine"])
def test_docker_makes_no_folder_for_the_accounts(service):
    """It would belong to root, and its owner could write no file into it."""
    [accounts] = SERVICES[service]["volumes"]
    assert {"create_host_path": False} == accounts["bind"]
    assert accounts["read_only"] is True


def test_the_sandbox_is_started_only_when_asked_for():
    assert ["sandbox"] == SERVICES["sandbox"]["profiles"]
    assert not any("profiles" in SERVICES[name] for name in SERVICES.keys() - {"sandbox"})


@pytest.mark.parametrize("service", ["worker-risk", "worker-routine"])
def test_a_setting_that_nobody_sets_has_its_default_in_a_container_too(service, monkeypatch):
    """The number of threads among them: no command line sets it."""
    defaults, ours = Settings(), environment(SERVICES[service], {})
    for name in ours.keys() - OURS:
        monkeypatch.setenv(name, ours[name])
    assert defaults == Settings()
    assert "NEO_CANCEL_THREADS" in SERVICES[service]["environment"]


@pytest.mark.parametrize("service", ["worker-risk", "worker-routine"])
def test_every_setting_of_the_readme_reaches_a_worker(service):
    names = [f"NEO_CANCEL_{name.upper()}" for name in Settings.model_fields]
    given = dict.fromkeys(names, "set")
    reached = environment(SERVICES[service], given)
    assert sorted(names) == sorted(reached)
    assert {"set"} == {value for name, value in reached.items() if name not in OURS}


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
