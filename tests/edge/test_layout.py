"""What a device tells of itself: its layout, and the hash of its settings."""

from typing import Any

from edge.config import AgentConfig, CameraConfig
from edge.layout import config_hash, layout, watchers

TILL = {
    "id": "till",
    "name": "Till",
    "role": "service",
    "polygon": [(0.1, 0.1), (0.5, 0.1), (0.5, 0.5)],
}
ENTRANCE = {
    "id": "entrance",
    "name": "Entrance",
    "role": "entrance",
    "points": [(0.0, 0.5), (1.0, 0.5)],
}
DOOR = {"id": "door", "source": "rtsp://10.0.0.7/main", "zones": [TILL], "lines": [ENTRANCE]}
DEVICE = AgentConfig.model_validate(
    {
        "site": "leeds",
        "device": "door-1",
        "name": "Front door",
        "model": "model.onnx",
        "state": "state",
        "broker": {"host": "broker.local"},
        "cameras": [DOOR],
    }
)


def changed(config: AgentConfig, **changes: Any) -> AgentConfig:
    return config.model_copy(update=changes)


def test_the_hash_turns_with_what_shapes_events_and_with_nothing_else() -> None:
    config = DEVICE
    known = config_hash(config)
    assert len(known) == 12
    assert int(known, 16) >= 0
    camera = config.cameras[0]
    elsewhere = camera.model_copy(update={"source": "rtsp://other"})
    assert config_hash(changed(config, cameras=(elsewhere,))) == known
    assert (
        config_hash(changed(config, broker=config.broker.model_copy(update={"host": "b"}))) == known
    )
    surer = camera.model_copy(update={"min_confidence": 0.5})
    assert config_hash(changed(config, cameras=(surer,))) != known
    assert config_hash(changed(config, position_step=0.5)) != known
    assert config_hash(camera) == config_hash(elsewhere) != config_hash(surer)


def test_the_layout_lists_a_shared_zone_once_and_no_source() -> None:
    door = DEVICE.cameras[0]
    second = door.model_copy(update={"id": "side", "name": "Side"})
    config = changed(DEVICE, cameras=(door, second))
    plan = layout(config)
    assert plan.config == config_hash(config)
    assert [(zone.id, zone.cameras) for zone in plan.zones] == [("till", ("door", "side"))]
    assert [(line.id, line.cameras) for line in plan.lines] == [("entrance", ("door", "side"))]
    assert [(each.id, each.unit) for each in plan.floors] == [("ground", "fraction")]
    assert "rtsp" not in repr(plan)


def test_a_line_and_a_zone_of_one_name_are_two() -> None:
    both = CameraConfig.model_validate(DOOR | {"lines": [ENTRANCE | {"id": "till"}]})
    assert watchers([both]) == {("line", "till"): ("door",), ("zone", "till"): ("door",)}
