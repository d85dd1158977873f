"""What computing costs in energy and CO2e."""
