"""An age, as people say it."""

from __future__ import annotations


def age(seconds: int) -> str:
    """An age as people say it: 3 d 4 h, 2 h 05 min, 40 s."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"
