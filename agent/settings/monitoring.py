"""The flags about Cloud Monitoring."""

import re
from dataclasses import dataclass
from typing import Final

from agent.commandline.flags import Flag
from agent.settings.group import Group


@dataclass(frozen=True, slots=True)
class MonitoringSettings(Group):
    """What the agent was told about Cloud Monitoring."""

    monitoring_project_id: str
    """Empty for no monitoring."""
    monitoring_endpoint: str
    monitoring_resource_type: str
    monitoring_resource_labels: tuple[tuple[str, str], ...]
    metric_domain: str


def _parse_project(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:-]*", text):
        raise ValueError("not a project ID")
    return text


def _parse_labels(text: str) -> tuple[tuple[str, str], ...]:
    labels = []
    for label in text.split(",") if text else ():
        name, equals, value = label.partition("=")
        if not equals or not name.strip():
            raise ValueError("not a label")
        labels.append((name.strip(), value.strip()))
    return tuple(labels)


def _parse_endpoint(text: str) -> str:
    if not re.fullmatch(r"[^\s/]+:\d{1,5}", text):
        raise ValueError("not a host and port")
    return text


FLAGS: Final = (
    Flag("monitoring-project-id", "", "a project ID", "Google Cloud project that gets the counts.", _parse_project),
    Flag(
        "monitoring-endpoint",
        "monitoring.googleapis.com:443",
        "HOST:PORT",
        "Where Cloud Monitoring is.",
        _parse_endpoint,
    ),
    Flag("monitoring-resource-type", "gce_instance", "a resource type", "Monitored resource that counts are for.", str),
    Flag(
        "monitoring-resource-labels",
        "",
        "NAME=VALUE,…",
        "Labels of that resource, such as instance-id=…,instance-zone=….",
        _parse_labels,
    ),
    Flag("metric-domain", "", "a domain", "First part of the metric's name, such as custom.googleapis.com.", str),
)
