"""What exact training costs in quality: the same training in exact arithmetic and in float32, side by side."""
