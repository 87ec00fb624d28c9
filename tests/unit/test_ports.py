"""The ports that the service listens on: which they are, and what is said when one cannot be had."""

import re
import socket

import pytest

from config.settings import ConfigurationError
from worker.ops.ports import FLOWER_PORT, REDIS_PORT, SANDBOX_PORT, PortError


@pytest.mark.parametrize("port", [REDIS_PORT, SANDBOX_PORT, FLOWER_PORT], ids=lambda port: port.what)
def test_a_port_is_chosen_by_option_environment_or_default(port, monkeypatch):
    """In this order; 0 means any free one."""
    monkeypatch.delenv(port.setting, raising=False)
    default = port.chosen(None)
    monkeypatch.setenv(port.setting, "7001")
    assert (port.default, 7001, 0) == (default, port.chosen(None), port.chosen(0))


@pytest.mark.parametrize("text", ["-1", "65536", "five", "\u0665", "1.5"])
def test_a_wrong_port_is_refused_with_the_name_of_its_setting(monkeypatch, text):
    """And with the value."""
    monkeypatch.setenv("NEO_CANCEL_FLOWER_PORT", text)
    rule = f"NEO_CANCEL_FLOWER_PORT: must be a whole number from 0 to 65535, got {text!r}"
    with pytest.raises(ConfigurationError, match=re.escape(rule)):
        FLOWER_PORT.chosen(None)


def test_a_port_in_use_is_named_with_the_setting_that_chooses_another():
    """In one line."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        with pytest.raises(PortError) as raised:
            FLOWER_PORT.check(taken)
    said = f"port {taken} for Flower is in use: set NEO_CANCEL_FLOWER_PORT to another one (0: any free one)"
    assert said == str(raised.value)
    FLOWER_PORT.check(taken)
