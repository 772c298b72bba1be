"""What a run costs: counted events at published prices, with intervals, and what has no price."""

from snndeploy.energy.count import count_events
from snndeploy.energy.estimate import estimate
from snndeploy.energy.events import CoreLoad, Events
from snndeploy.energy.fan_out import fan_out

__all__ = ["CoreLoad", "Events", "count_events", "estimate", "fan_out"]
